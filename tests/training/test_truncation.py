"""Stages with fewer epochs, whose schedule still ends with its last learning rates."""

from __future__ import annotations

import pytest

from opsin.training.truncation import affordable_epochs, schedule_position, truncated_epochs


def test_without_truncations_nothing_changes() -> None:
    assert truncated_epochs(5, ()) == 5
    assert [schedule_position(step, 4, 5, ()) for step in range(20)] == list(range(20))


def test_the_remaining_steps_pass_through_the_rest_of_the_schedule() -> None:
    truncations = ((2, 4),)
    assert truncated_epochs(8, truncations) == 4
    steps = [schedule_position(step, 10, 8, truncations) for step in range(40)]
    assert steps[:20] == list(range(20))
    assert steps[20:] == [20 + 3 * step for step in range(20)]


def test_a_second_truncation_continues_from_the_first() -> None:
    truncations = ((2, 4), (3, 4))
    assert [schedule_position(step, 10, 8, truncations) for step in range(30, 40)] == [
        50 + 3 * step for step in range(10)
    ]
    truncations = ((1, 6), (3, 4))
    steps = [schedule_position(step, 10, 11, truncations) for step in range(40)]
    assert steps[10:30:10] == [10, 30]
    assert steps[30] == 50
    assert steps == sorted(steps)
    assert steps[-1] == 104


@pytest.mark.parametrize(
    ("left", "expected"), [(100.0, None), (30.0, None), (28.9, 4), (19.0, 4), (18.0, 3), (9.5, 3), (8.0, 2), (-5.0, 2)]
)
def test_the_number_of_epochs_that_fit(left: float, expected: int | None) -> None:
    assert affordable_epochs(2, 5, 10.0, left) == expected
