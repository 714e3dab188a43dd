"""The errors of a regression on images with known numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from opsin.base.concurrency import lazy
from opsin.tasks.regression import sections
from opsin.tasks.regression.intervals import Intervals
from opsin.tasks.regression.quantities import Quantities
from opsin.tasks.regression.results import QuantityResult, Results, quantity_results
from opsin.tasks.regression.suspects import NEIGHBOURS, doubtful, suspects
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

    neighbours: ClassVar[int] = NEIGHBOURS

    def doubtful_images(self) -> list[int]:
        """Return the numbers of the images whose errors are far larger than the intervals, the largest errors first."""
        if self.intervals is None:
            return []
        rows = np.flatnonzero(doubtful(self.results, self.intervals.margins, self.scales).any(axis=1))
        numbers = set(rows.tolist())
        return [number for number in self.worst(self.images) if number in numbers]

    def neighbour_sections(self, images: Sequence[int], similar: Quantities) -> list[Section]:
        """Return the numbers to check, if there are any: those that the images most similar contradict.

        `similar` are the numbers of `neighbours` images for each of the `doubtful_images` in `images`.
        """
        if self.intervals is None:
            return []
        numbers = similar.values.reshape(len(images), -1, len(self.names))
        found = suspects(self.results, self.intervals.margins, self.scales, images, numbers)
        return sections.suspect_sections(self.quantities, self.results, found)

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
