"""Times as people write them; sizes are tested with the commands that take them."""

from __future__ import annotations

import pytest

from opsin.base.errors import UsageError
from opsin.base.formatting import duration, size
from opsin.base.units import parse_seconds


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10min", 600), ("1.5h", 5400), ("1h30min", 5400), ("2 min", 120), ("3M", 180)]
)
def test_times(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["10", "min", "ten minutes", "10min later", "0s", "-5min", "", "5 days"])
def test_invalid_durations(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_seconds(text)
    assert str(refused.value) == f"'{text}' is not a duration; write 90s, 10min or 1h30min"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "less than a second"), (45, "45 s"), (180, "3 min"), (250, "4.2 min"), (610, "10 min"), (9000, "2.5 h")],
)
def test_durations_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(10, "1 MB"), (350e6, "350 MB"), (999.9e6, "1.0 GB"), (2.04e9, "2.0 GB")])
def test_sizes_in_words(count: float, text: str) -> None:
    assert size(count) == text
