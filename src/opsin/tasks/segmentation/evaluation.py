"""The result of a segmentation network on images with known masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.concurrency import lazy
from opsin.tasks.score import Score
from opsin.tasks.section import Section
from opsin.tasks.segmentation import sections
from opsin.tasks.segmentation.calibration import PixelCalibration
from opsin.tasks.segmentation.metrics import SegmentationScore, has_background, main_metric
from opsin.tasks.segmentation.results import PixelResults

MIN_AREA = 0.01
"""The least share of an image that its errors are compared with, so that a few pixels do not make it the worst."""


@dataclass(frozen=True, eq=False)
class SegmentationEvaluation:
    """The scores of all pixels together, and the results of each image; `calibration` is the model's, if it has one."""

    results: PixelResults
    calibration: PixelCalibration | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.results.score.classes

    @property
    def images(self) -> int:
        """The number of images."""
        return len(self.results)

    @property
    def pixels(self) -> SegmentationScore:
        """The scores of all pixels."""
        return self.results.score

    @property
    def score(self) -> Score:
        """The scores by name; the first one is `main_metric`. One that cannot be computed is left out, or is 0."""
        scores, main = self.pixels.as_dict(), main_metric(self.classes)
        return Score(self.images, self.results.loss, {main: scores.get(main, 0.0)} | scores)

    @lazy
    def errors(self) -> NDArray[np.float64]:
        """The errors of each image (N), 0 to 1: wrong pixels as a share of those that are, or should be, foreground.

        Foreground is all but a class "background", and at least 1% of the image. For one class of foreground this is
        1 - IoU.
        """
        results, area = self.results, self.results.counted.astype(np.float64)
        if has_background(self.classes):
            area -= results.common[:, 0]
        errors: NDArray[np.float64] = results.wrong / np.maximum(area, np.maximum(MIN_AREA * results.counted, 1))
        return errors

    def worst(self, count: int) -> list[int]:
        """Return the numbers of at most `count` images with wrong pixels, the largest `errors` first."""
        order = np.argsort(-self.errors, kind="stable")[:count]
        return [int(number) for number in order if self.errors[number] > 0]

    def sections(self) -> list[Section]:
        """Return what a report says of the result."""
        return sections.sections(self.results, self.calibration, self.worst(self.images))

    def to_data(self) -> dict[str, Any]:
        """Return everything for JSON."""
        return {
            "images": self.images,
            "loss": self.results.loss,
            "metrics": dict(self.score.metrics),
            "classes": [row.to_data() for row in sections.class_rows(self.pixels)],
            "confusion": {"classes": list(self.classes), "counts": self.pixels.confusion.tolist()},
        }

    def __str__(self) -> str:
        metrics = self.score.metrics
        names = {"foreground_iou": "foreground IoU", "mean_iou": "mean IoU", "boundary_f1": "boundary F1"}
        parts = [f"{text} {metrics[name]:.3f}" for name, text in names.items() if name in metrics]
        return f"{', '.join(parts)} on {self.images:,} images"
