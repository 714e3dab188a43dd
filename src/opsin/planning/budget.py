"""Time and memory that a plan may take, and what is left of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

from opsin.base.errors import UsageError
from opsin.base.formatting import duration, size
from opsin.data import Dataset
from opsin.model.model import BATCH_ELEMENTS, MAX_BATCH
from opsin.planning.measurement import ConvTuning, Cost, process_bytes
from opsin.planning.options import TrainOptions
from opsin.training.stages import WATCH, held_out

REPORT, LONGEST_REPORT, SHORTEST_REPORT = 0.15, 75.0, 4.0
"""The share of the time that is kept for the report, and its bounds in seconds."""

FIXED_REPORT = 2.0
"""Seconds that a report takes at least, besides measuring."""

MARGIN = 0.04
"""The share of the time that is kept for what nobody foresees."""

TUNING, LONGEST_TUNING, SHORTEST = 0.01, 10.0, 60.0
"""The share of the time for timing ways of convolutions, its bound in seconds, and the time from which on it pays."""

PYTHON = 120e6
"""Bytes that a report and the rest of the program take besides what is counted."""


@dataclass(frozen=True)
class Budget:
    """`left` seconds for training, after `spent` ones and before a report of `report` ones; `asked`: somebody did.

    `ways` are those of convolutions, with the time there is to find the fastest.
    """

    left: float
    report: float
    total: float
    spent: float
    asked: bool
    ways: ConvTuning

    @classmethod
    def of(cls, wishes: TrainOptions, spent: float, timed: bool) -> Budget:
        """`timed`: ways of convolutions are chosen by timing them here."""
        total = wishes.seconds
        spare = timed and total >= SHORTEST and wishes.memory is None  # timing takes memory of its own
        seconds = min(LONGEST_TUNING, TUNING * total) if spare else 0.0
        report = min(LONGEST_REPORT, max(SHORTEST_REPORT, REPORT * total))
        ways = ConvTuning(wishes.exact, timed, seconds)
        return cls(total * (1 - MARGIN) - report - spent, report, total, spent, wishes.budget is not None, ways)

    def refuse(self, needed: float, what: str) -> UsageError:
        """The error that says what does not fit, and which budget would do."""
        before = needed + self.spent
        short, long = before / (1 - MARGIN - REPORT), (before + LONGEST_REPORT) / (1 - MARGIN)
        total = max(min(short, long), (before + SHORTEST_REPORT) / (1 - MARGIN))
        minutes = -(-total // 60)
        return UsageError(
            f"{what} takes {duration(needed)} on this machine, but {duration(max(0.0, self.left))} of "
            f"{duration(self.total)} is left for training (reading the images took {duration(self.spent)}, "
            f"the report needs {duration(self.report)}); try --budget {minutes:.0f}min"
        )


def batch_that_fits(
    batches: Sequence[int], cost: Callable[[int], Cost], wishes: TrainOptions, data: Dataset, extra: float = 0.0
) -> tuple[int, Cost, float]:
    """The first of `batches` whose step fits into the memory, its cost, and all that the process will need.

    `UsageError` where none fits.
    """
    before, needed = process_bytes(), 0.0
    for batch in batches:
        found = cost(batch)
        needed = before + found.bytes + predicting(data) + extra + PYTHON
        if wishes.memory is None or needed <= wishes.memory:
            return batch, found, needed
    raise UsageError(
        f"this needs {size(needed)} of memory even with {batches[-1]} images a step, more than "
        f"{size(wishes.memory or 0)}; allow more, or take a smaller --network or --size"
    )


def predicting(data: Dataset) -> float:
    """Bytes that measuring takes besides: a batch of images and what small networks make of them."""
    batch = max(1, min(MAX_BATCH, BATCH_ELEMENTS // max(1, _numbers(data))))
    return 4.0 * batch * _numbers(data) * 12


def epoch_seconds(images: int, batch: int, step: Cost) -> float:
    """Seconds of an epoch's steps, the last of which is filled up, and of the snapshots that are taken meanwhile."""
    steps = ceil(images / batch)
    return steps * batch * step.seconds + ceil(steps / WATCH) * step.snapshot


def reporting(data: Dataset, look: float, budget: Budget) -> float:
    """Seconds that the report takes beyond its share: it measures the test part again, in `look` seconds an image."""
    return max(0.0, len(data.require_test()) * look + FIXED_REPORT - budget.report)


def evaluating(data: Dataset, look: float) -> float:
    """Seconds to measure a model on the held-out images, with `look` seconds an image."""
    return len(held_out(data)) * look


def _numbers(data: Dataset) -> int:
    channels, height, width = data.shape
    return channels * height * width
