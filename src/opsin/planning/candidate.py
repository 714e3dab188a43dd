"""Choosing a plan: planners list candidates from best to cheapest, and the first that fits is taken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from opsin.base.errors import UsageError
from opsin.base.formatting import duration, size
from opsin.data import Dataset
from opsin.planning.budget import Budget
from opsin.planning.measurement import CostMeter
from opsin.planning.options import NetworkChoice, TrainOptions
from opsin.training.plan import Stage, TrainingPlan

ROUNDING = 1e-9
"""A candidate that takes exactly the available time is not refused for rounding errors of this relative size."""


@dataclass(frozen=True)
class Candidate:
    """Stages of a plan, with the `seconds` that their training takes and the `bytes` of memory that the process needs.

    It fits if `required_seconds` are available for training. `reasons` explain it in sentences. If it is refused, it is
    called `name` in the message, which recommends a budget with `recommended_seconds` for training.
    """

    stages: tuple[Stage, ...]
    seconds: float
    bytes: float
    reasons: tuple[str, ...]
    name: str
    required_seconds: float
    recommended_seconds: float


class Planner(Protocol):
    """Lists the candidates for a network and data, and makes the plan for the selected one.

    `forward_seconds` is the time of a prediction of one image.
    """

    choice: NetworkChoice
    data: Dataset
    options: TrainOptions
    meter: CostMeter
    forward_seconds: float

    def candidates(self) -> Iterator[Candidate]:
        """Yield candidates from best to cheapest, at least one. Costs are measured when a candidate is requested."""

    def plan(self, candidate: Candidate) -> TrainingPlan:
        """Return the plan with the candidate's stages."""


def fits(candidate: Candidate, budget: Budget) -> bool:
    """Return whether time and memory suffice for the candidate."""
    in_time = candidate.required_seconds <= budget.training_seconds + ROUNDING * abs(budget.training_seconds)
    return in_time and budget.allows(candidate.bytes)


def first_that_fits(candidates: Iterable[Candidate], budget: Budget) -> Candidate:
    """Return the first candidate for which time and memory suffice.

    Raises `UsageError` if there is none: the message says what the last one, the cheapest, lacks.
    """
    for candidate in candidates:
        if fits(candidate, budget):
            return candidate
    raise UsageError(_refusal(candidate, budget))


def _refusal(candidate: Candidate, budget: Budget) -> str:
    """Return what the candidate lacks, and what would suffice."""
    if not budget.allows(candidate.bytes):
        return (
            f"this needs {size(candidate.bytes)} of memory even with {candidate.stages[-1].batch} images per step, "
            f"more than {size(budget.memory or 0)}; allow more, or take a smaller --network or --size"
        )
    minutes = -(-budget.total_for(candidate.recommended_seconds) // 60)
    return (
        f"{candidate.name} takes {duration(candidate.recommended_seconds)} on this machine, but "
        f"{duration(max(0.0, budget.training_seconds))} of {duration(budget.total_seconds)} is left for training "
        f"(reading the images took {duration(budget.elapsed_seconds)}, the report needs "
        f"{duration(budget.report_seconds)}); try --budget {minutes:.0f}min"
    )
