"""The first candidate that fits is taken, and the last one explains a refusal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from opsin.base.errors import UsageError
from opsin.planning.budget import Budget
from opsin.planning.candidate import Candidate, first_that_fits
from opsin.training.plan import Stage

BUDGET = Budget(
    training_seconds=100.0, report_seconds=20.0, total_seconds=130.0, elapsed_seconds=5.0, is_explicit=True, memory=1e9
)


def candidate(name: str, seconds: float, memory: float = 1e8, batch: int = 64) -> Candidate:
    return Candidate((Stage(epochs=1, batch=batch),), seconds, memory, (), name, seconds, seconds)


def test_later_candidates_are_not_computed() -> None:
    def candidates() -> Iterator[Candidate]:
        yield candidate("all", 200)
        yield candidate("too large", 50, memory=2e9)
        yield candidate("some", 90)
        raise AssertionError("a candidate after the first that fits was asked for")

    assert first_that_fits(candidates(), BUDGET).name == "some"


def test_the_last_candidate_explains_what_is_missing() -> None:
    with pytest.raises(UsageError) as refused:
        first_that_fits([candidate("all", 500), candidate("one epoch", 240)], BUDGET)
    assert str(refused.value) == (
        "one epoch takes 4 min on this machine, but 1.7 min of 2.2 min is left for training (reading the images "
        "took 5 s, the report needs 20 s); try --budget 6min"
    )
    with pytest.raises(UsageError) as refused:
        first_that_fits([candidate("all", 50, memory=3e9), candidate("less", 240, memory=2e9, batch=8)], BUDGET)
    assert str(refused.value) == (
        "this needs 2.0 GB of memory even with 8 images per step, more than 1.0 GB; allow more, or take a smaller "
        "--network or --size"
    )


@pytest.mark.parametrize("seconds", [1.0, 60.0, 3000.0, 20_000.0])
def test_the_recommended_budget_suffices(seconds: float) -> None:
    total = BUDGET.total_for(seconds)
    report = min(75.0, max(4.0, 0.15 * total))
    assert total * (1 - 0.04) - report - BUDGET.elapsed_seconds == pytest.approx(seconds)


def test_rounding_does_not_refuse_what_fits_exactly() -> None:
    assert first_that_fits([candidate("exact", 100.0 * (1 + 1e-15))], BUDGET).name == "exact"
    with pytest.raises(UsageError):
        first_that_fits([candidate("more", 100.001)], BUDGET)
