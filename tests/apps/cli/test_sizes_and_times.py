"""Times as people write them; sizes are tested with the commands that take them."""

from __future__ import annotations

import pytest

from opsin.apps.cli.units import parse_seconds
from opsin.base.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10min", 600), ("1.5h", 5400), ("1h30min", 5400), ("2 min", 120), ("3M", 180)]
)
def test_times(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["10", "min", "ten minutes", "10min later", "0s", "-5min", "", "5 days"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_seconds(text)
    assert str(refused.value) == f"'{text}' is no time; write 90s, 10min or 1h30min"
