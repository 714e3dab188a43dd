"""The result of a detector on images with known objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from opsin.base.concurrency import lazy
from opsin.tasks.detection.average_precision import AveragePrecision, average_precision
from opsin.tasks.detection.calibration import DEFAULT_SCORE, Judged, ScoreThreshold
from opsin.tasks.detection.class_results import ClassResult, class_results
from opsin.tasks.detection.errors import Error, ErrorAnalysis, detection_errors
from opsin.tasks.detection.results import Result
from opsin.tasks.detection.scored import Detections, Truth
from opsin.tasks.detection.sections import ErrorsByImage, class_section, curve_section, error_section
from opsin.tasks.score import Score
from opsin.tasks.section import Section

AP, AP50 = "ap", "ap50"
"""COCO's average precision over the IoUs from 0.5 to 0.95, and at 0.5: the means over the classes."""


@dataclass(frozen=True, eq=False)
class DetectionEvaluation:
    """The detections in some images, compared with the objects there. `threshold` is that of the model, if it has one.

    Everything is computed when it is first needed.
    """

    labels: tuple[str, ...]
    result: Result
    threshold: ScoreThreshold | None

    @property
    def images(self) -> int:
        """The number of images."""
        return len(self.result.boxes)

    @lazy
    def truth(self) -> Truth:
        """The objects, in pixels of the original images."""
        return Truth.of(self.result.boxes)

    @lazy
    def average_precision(self) -> AveragePrecision:
        """COCO's precision and recall."""
        return average_precision(self.truth, self.result.detections, len(self.labels))

    @property
    def min_score(self) -> float:
        """The score from which the model shows a detection."""
        return self.threshold.score if self.threshold else DEFAULT_SCORE

    @lazy
    def shown(self) -> Detections:
        """The detections that the model shows."""
        return self.result.detections.above(self.min_score)

    @lazy
    def errors(self) -> ErrorAnalysis:
        """The kinds of error of all detections, and the average precision that each costs."""
        return detection_errors(self.truth, self.result.detections, len(self.labels))

    @lazy
    def shown_errors(self) -> ErrorAnalysis:
        """The errors of the detections that the model shows."""
        return detection_errors(self.truth, self.shown, len(self.labels))

    @property
    def score(self) -> Score:
        """AP and AP50, 0 if there are no objects. The loss is 1 - AP: that of training needs other targets."""
        summary = self.average_precision.summary
        metrics = {AP: float(np.nan_to_num(summary["AP"])), AP50: float(np.nan_to_num(summary["AP50"]))}
        return Score(self.images, 1 - metrics[AP], metrics)

    @lazy
    def overall(self) -> Judged:
        """The detections of all classes together."""
        return Judged.sorted(self._judged)

    @lazy
    def _judged(self) -> list[Judged]:
        return [Judged.of(self.truth, self.result.detections, label) for label in range(len(self.labels))]

    @lazy
    def classes(self) -> tuple[ClassResult, ...]:
        """The results by class."""
        return class_results(self.labels, self.average_precision, self._judged, self.min_score)

    @lazy
    def _by_image(self) -> ErrorsByImage:
        return ErrorsByImage(self.truth, self.shown, self.shown_errors, self.labels)

    def sections(self) -> list[Section]:
        """Return what a report says of the result, the most important first."""
        overall = self.overall.at(self.min_score)
        parts = (
            class_section(self.classes, self.average_precision.summary, self.min_score, overall),
            curve_section(self.classes, self.average_precision),
            error_section(self.errors, self.shown_errors),
            self._by_image.worst_section(),
            self._by_image.suspect_section(),
        )
        return [part for part in parts if part]

    def worst(self, count: int) -> list[int]:
        """Return at most `count` images, those with the most wrong detections and missed objects first."""
        return self._by_image.worst(count)

    def to_data(self) -> dict[str, Any]:
        """Return everything for JSON; None stands for what no object or no detection defines."""
        precision, recall = self.overall.at(self.min_score)
        return {
            "images": self.images,
            "objects": self.overall.objects,
            "summary": _defined(self.average_precision.summary),
            "min_score": self.min_score,
            **_defined({"precision": precision, "recall": recall}),
            "classes": [_defined(vars(each)) for each in self.classes],
            "errors": {
                error.value: {"count": self.shown_errors.counts[error], "ap50_cost": self.errors.gains[error]}
                for error in Error
            },
        }

    def __str__(self) -> str:
        metrics = self.score.metrics
        return f"AP {metrics[AP]:.3f}, AP50 {metrics[AP50]:.3f} on {self.images:,} images"


def _defined(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values, NaN as None, which JSON has."""
    return {name: None if value != value else value for name, value in values.items()}
