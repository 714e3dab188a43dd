"""The errors of a regression on images with known numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.tasks.regression.intervals import Intervals
from opsin.tasks.score import R2, Score


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


@dataclass(frozen=True, eq=False)
class RegressionEvaluation:
    """The result of a model on images; `predictions` and `truth` are float64 N × quantities.

    `loss` is the mean squared error of the standardized numbers.
    """

    quantities: tuple[QuantityResult, ...]
    predictions: NDArray[np.float64]
    truth: NDArray[np.float64]
    loss: float

    @classmethod
    def of(
        cls,
        names: tuple[str, ...],
        units: tuple[str, ...],
        predictions: NDArray[np.float64],
        truth: NDArray[np.float64],
        scales: NDArray[np.float64],
        intervals: Intervals | None,
    ) -> RegressionEvaluation:
        """Evaluate predictions, N × quantities; `scales` are the standard deviations of the training images."""
        errors = predictions - truth
        variance = ((truth - truth.mean(axis=0)) ** 2).mean(axis=0)
        squared = (errors**2).mean(axis=0)
        rows = [
            QuantityResult(
                name,
                units[column],
                float(np.abs(errors[:, column]).mean()),
                float(squared[column] ** 0.5),
                float(1 - squared[column] / variance[column]) if variance[column] > 0 else float("nan"),
                float((np.abs(errors[:, column]) <= intervals.margins[column]).mean()) if intervals else None,
            )
            for column, name in enumerate(names)
        ]
        return cls(tuple(rows), predictions, truth, float(((errors / scales) ** 2).mean()))

    @property
    def images(self) -> int:
        """The number of images."""
        return len(self.truth)

    @property
    def score(self) -> Score:
        """The mean R² of the quantities; 1 minus the loss if the true numbers do not vary."""
        values = [each.r2 for each in self.quantities if not np.isnan(each.r2)]
        return Score(self.images, self.loss, {R2: float(np.mean(values)) if values else 1 - self.loss})

    def to_data(self) -> dict[str, Any]:
        """Return everything for JSON."""
        quantities = [asdict(each) | {R2: None if np.isnan(each.r2) else each.r2} for each in self.quantities]
        return {"images": self.images, "loss": self.loss, "quantities": quantities}

    def __str__(self) -> str:
        parts = [
            f"{each.name}: R² {each.r2:.3f}, mean error {each.mae:.4g}{' ' + each.unit if each.unit else ''}"
            for each in self.quantities
        ]
        return f"{'; '.join(parts)} on {self.images:,} images"
