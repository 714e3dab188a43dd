"""Fewer epochs, and a schedule that still comes to its end."""

from __future__ import annotations

import pytest

from opsin.training.deadline import epochs_of, fewer_epochs, planned_step


def test_without_cuts_nothing_changes() -> None:
    assert epochs_of(5, ()) == 5
    assert [planned_step(step, 4, 5, ()) for step in range(20)] == list(range(20))


def test_after_a_cut_the_rest_of_the_schedule_is_passed_in_the_steps_that_are_left() -> None:
    cuts = ((2, 4),)
    assert epochs_of(8, cuts) == 4
    steps = [planned_step(step, 10, 8, cuts) for step in range(40)]
    assert steps[:20] == list(range(20))
    assert steps[20:] == [20 + 3 * step for step in range(20)]


def test_a_second_cut_begins_where_the_first_had_come_to() -> None:
    cuts = ((2, 4), (3, 4))
    assert [planned_step(step, 10, 8, cuts) for step in range(30, 40)] == [50 + 3 * step for step in range(10)]
    cuts = ((1, 6), (3, 4))
    steps = [planned_step(step, 10, 11, cuts) for step in range(40)]
    assert steps[10:30:10] == [10, 30]
    assert steps[30] == 50
    assert steps == sorted(steps)
    assert steps[-1] == 104


@pytest.mark.parametrize(
    ("left", "expected"), [(100.0, None), (30.0, None), (28.9, 4), (19.0, 4), (18.0, 3), (9.5, 3), (8.0, 2), (-5.0, 2)]
)
def test_how_many_fit(left: float, expected: int | None) -> None:
    assert fewer_epochs(2, 5, 10.0, left) == expected
