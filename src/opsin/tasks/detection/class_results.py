"""The results of a detector by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opsin.tasks.detection.average_precision import AveragePrecision
from opsin.tasks.detection.calibration import Judged


@dataclass(frozen=True)
class ClassResult:
    """One class: the number of its objects, its average precision (NaN without objects), precision and recall.

    The latter two are those of the detections that the model shows; NaN without such detections, or without objects.
    """

    name: str
    objects: int
    ap: float
    ap50: float
    ap75: float
    precision: float
    recall: float


def class_results(
    labels: Sequence[str], precision: AveragePrecision, judged: Sequence[Judged], min_score: float
) -> tuple[ClassResult, ...]:
    """Return the results by class for detections with at least `min_score`."""
    columns = [precision.per_class(threshold).tolist() for threshold in (None, 0.5, 0.75)]
    rows = zip(labels, judged, *columns, strict=True)
    return tuple(ClassResult(name, each.objects, *aps, *each.at(min_score)) for name, each, *aps in rows)
