"""The errors of a regression on images with known numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.concurrency import lazy
from opsin.tasks.regression import sections
from opsin.tasks.regression.intervals import Intervals
from opsin.tasks.regression.results import QuantityResult, Results, quantity_results
from opsin.tasks.score import R2, Score
from opsin.tasks.section import Section


@dataclass(frozen=True, eq=False)
class RegressionEvaluation:
    """The result of a model on images; `intervals` are the model's, if it has any.

    `means` and `scales` are those of the training images: always answering the mean is what a model has to beat.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    results: Results
    means: NDArray[np.float64]
    scales: NDArray[np.float64]
    intervals: Intervals | None = None

    @lazy
    def quantities(self) -> tuple[QuantityResult, ...]:
        """The errors of each quantity."""
        margins = self.intervals.margins if self.intervals else None
        return quantity_results(self.names, self.units, self.results, margins)

    @property
    def predictions(self) -> NDArray[np.float64]:
        """The model's numbers, N × quantities."""
        return self.results.predictions

    @property
    def truth(self) -> NDArray[np.float64]:
        """The true numbers, N × quantities."""
        return self.results.truth

    @property
    def images(self) -> int:
        """The number of images."""
        return len(self.results)

    @property
    def loss(self) -> float:
        """The mean squared error of the standardized numbers."""
        return float((self.standardized_errors**2).mean())

    @property
    def standardized_errors(self) -> NDArray[np.float64]:
        """The errors in standard deviations of the training images, N × quantities."""
        errors: NDArray[np.float64] = (self.predictions - self.truth) / self.scales
        return errors

    @property
    def score(self) -> Score:
        """The mean R² of the quantities; 1 minus the loss if the true numbers do not vary."""
        values = [each.r2 for each in self.quantities if not np.isnan(each.r2)]
        return Score(self.images, self.loss, {R2: float(np.mean(values)) if values else 1 - self.loss})

    def worst(self, count: int) -> list[int]:
        """Return the numbers of at most `count` images with errors, the largest standardized errors first."""
        errors = np.abs(self.standardized_errors).max(axis=1)
        order = np.argsort(-errors, kind="stable")[:count]
        return [int(number) for number in order if errors[number] > 0]

    def sections(self) -> list[Section]:
        """Return what a report says of the result, the most important first."""
        margins = self.intervals.margins if self.intervals else None
        return sections.sections(
            self.quantities, self.results, self.means, margins, self.worst(sections.MAX_EXAMPLES)
        )  # fmt: skip

    def to_data(self) -> dict[str, Any]:
        """Return everything for JSON."""
        quantities = [asdict(each) | {R2: None if np.isnan(each.r2) else each.r2} for each in self.quantities]
        baselines = {name: [None if np.isnan(value) else value for value in values]
                     for name, values in sections.baselines(self.results, self.means).items()}  # fmt: skip
        return {"images": self.images, "loss": self.loss, "quantities": quantities, "baselines": baselines}

    def __str__(self) -> str:
        parts = [
            f"{each.name}: R² {each.r2:.3f}, mean error {each.mae:.4g}{' ' + each.unit if each.unit else ''}"
            for each in self.quantities
        ]
        return f"{'; '.join(parts)} on {self.images:,} images"
