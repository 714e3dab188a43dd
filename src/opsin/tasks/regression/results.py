"""What remains of the outputs for images: predictions next to the truth, and the errors of each quantity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.tasks.regression.quantities import UNORDERED

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Results:
    """`predictions` and `truth` are float64 N × quantities, in the units of the quantities.

    `positions` are int64 N: the places of frames in the order of time, or `UNORDERED`.
    """

    predictions: Floats
    truth: Floats
    positions: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.truth)

    @classmethod
    def concatenate(cls, parts: Sequence[Results]) -> Results:
        """Return the results of several sets of images as one."""
        return cls(
            np.concatenate([part.predictions for part in parts]),
            np.concatenate([part.truth for part in parts]),
            np.concatenate([part.positions for part in parts]),
        )

    @property
    def successors(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The numbers of frames, and those of the frames right after them, among these images."""
        frames = np.flatnonzero(self.positions != UNORDERED)
        frames = frames[np.argsort(self.positions[frames], kind="stable")]
        follows = np.diff(self.positions[frames]) == 1
        return frames[:-1][follows], frames[1:][follows]


@dataclass(frozen=True)
class QuantityResult:
    """The errors of one quantity: mean absolute error, root mean squared error, R², and coverage of the intervals.

    R² = 1 - Σ (y - ŷ)² / Σ (y - ȳ)² is 0 for always answering the mean; it is NaN if all true numbers are equal.
    `coverage` is the share of the images whose true number lies within the interval; None without intervals.
    """

    name: str
    unit: str
    mae: float
    rmse: float
    r2: float
    coverage: float | None = None


def quantity_results(
    names: Sequence[str], units: Sequence[str], results: Results, margins: Sequence[float] | None
) -> tuple[QuantityResult, ...]:
    """Return the errors of each quantity; `margins` are those of the intervals."""
    errors = results.predictions - results.truth
    scores = r2(results.predictions, results.truth)
    return tuple(
        QuantityResult(
            name, units[column], float(np.abs(errors[:, column]).mean()), float((errors[:, column] ** 2).mean() ** 0.5),
            float(scores[column]), float((np.abs(errors[:, column]) <= margins[column]).mean()) if margins else None,
        )
        for column, name in enumerate(names)
    )  # fmt: skip


def r2(predictions: Floats, truth: Floats) -> Floats:
    """Return R² of each quantity (N × quantities); NaN where the true numbers are all equal."""
    squared = ((predictions - truth) ** 2).sum(axis=0)
    variance = ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    return np.where(variance > 0, 1 - squared / np.where(variance > 0, variance, 1), np.nan)
