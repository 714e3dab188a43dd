"""The recipe's values, and values that make no sense."""

from __future__ import annotations

import pytest

from opsin.errors import UsageError
from opsin.training import Recipe
from opsin.training.recipe import epochs_for


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"epochs": 0}, "the number of epochs must be at least 1, not 0"),
        ({"batch": -1}, "the batch must hold at least 1 picture, not -1"),
        ({"seed": -1}, "the seed must be a whole number from 0 to 2^63 - 1, not -1"),
        ({"learning_rate": 0.0}, "the learning rate must be a positive number such as 0.004, not 0"),
        ({"learning_rate": float("nan")}, "the learning rate must be a positive number such as 0.004, not nan"),
        ({"learning_rate": float("inf")}, "the learning rate must be a positive number such as 0.004, not inf"),
    ],
)
def test_values_that_make_no_sense(wrong: dict[str, float], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Recipe(**wrong)  # type: ignore[arg-type]
    assert str(caught.value) == text


def test_small_data_is_seen_more_often() -> None:
    assert [epochs_for(count) for count in (2, 100, 5000, 60_000, 10**6)] == sorted(
        (epochs_for(count) for count in (2, 100, 5000, 60_000, 10**6)), reverse=True
    )
    assert epochs_for(2) == 200
    assert epochs_for(5000) == 25
    assert epochs_for(60_000) == 15
