"""COCO's average precision of object detection (Lin et al. 2014, arXiv:1405.0312).

The results equal those of COCOeval in pycocotools (github.com/cocodataset/cocoapi): the same matching, the same stable
order of equal scores, the same interpolation at 101 recalls. What COCOeval marks with -1, because there is no object of
a class or size, is NaN here. Objects marked as difficult, which COCO does not know, are ignored like those of other
sizes: a detection that fits one counts neither as right nor as wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.tasks.detection.matching import AREA_RANGES, Matches, candidates, match
from opsin.tasks.detection.scored import Detections, Truth

Floats = NDArray[np.float64]

IOU_THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
RECALLS: Floats = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = (1, 10, 100)
"""Limits on the detections of each class in each image."""

ALL_DETECTIONS = len(MAX_DETECTIONS) - 1

SUMMARY = {
    "AP": ("all", None, 2), "AP50": ("all", 0, 2), "AP75": ("all", 5, 2),
    "AP small": ("small", None, 2), "AP medium": ("medium", None, 2), "AP large": ("large", None, 2),
}  # fmt: skip
"""Area range, number of the IoU threshold (None: all), and number of the limit on detections."""

RECALL_SUMMARY = {
    "AR 1": ("all", 0), "AR 10": ("all", 1), "AR 100": ("all", 2),
    "AR small": ("small", 2), "AR medium": ("medium", 2), "AR large": ("large", 2),
}  # fmt: skip
"""Area range and number of the limit on detections."""


@dataclass(frozen=True, eq=False)
class Curve:
    """The precision of one class at the 101 recalls, and the lowest score of the detections that reach them."""

    recall: Floats
    precision: Floats
    score: Floats


@dataclass(frozen=True, eq=False)
class AveragePrecision:
    """Precision and recall at T thresholds of IoU, R recalls, for K classes, A area ranges and M limits."""

    precision: Floats
    """T × R × K × A × M; NaN where a class has no object of a size."""
    recall: Floats
    """The largest recall, T × K × A × M."""
    scores: Floats
    """The score at which each recall is reached, T × R × K × A × M; 0 where it is not reached."""

    @property
    def summary(self) -> dict[str, float]:
        """COCO's twelve numbers: mean AP over classes and thresholds, and mean recall. NaN: no such object."""
        areas = list(AREA_RANGES)
        precision = {
            name: _mean(self.precision[slice(None) if t is None else t, ..., areas.index(area), limit])
            for name, (area, t, limit) in SUMMARY.items()
        }
        recall = {
            name: _mean(self.recall[:, :, areas.index(area), limit]) for name, (area, limit) in RECALL_SUMMARY.items()
        }
        return precision | recall

    def per_class(self, threshold: float | None = None) -> Floats:
        """Return the AP of each class (K), at one IoU threshold or averaged over all; NaN for classes not present."""
        chosen = self.precision[..., 0, ALL_DETECTIONS]
        values = chosen if threshold is None else chosen[[_nearest(threshold)]]
        return np.array([_mean(values[:, :, k]) for k in range(values.shape[2])], np.float64)

    def curve(self, label: int, threshold: float = 0.5) -> Curve:
        """Return the precision-recall curve of a class at one of the IoU thresholds."""
        place = (_nearest(threshold), slice(None), label, 0, ALL_DETECTIONS)
        return Curve(RECALLS, self.precision[place], self.scores[place])


def average_precision(truth: Truth, detections: Detections, class_count: int) -> AveragePrecision:
    """Compute COCO's precision and recall of the detections in all images of `truth`."""
    shape = len(IOU_THRESHOLDS), len(RECALLS), class_count, len(AREA_RANGES), len(MAX_DETECTIONS)
    precision, scores = np.full(shape, np.nan), np.full(shape, np.nan)
    recall = np.full((shape[0], *shape[2:]), np.nan)
    for label in range(class_count):
        found = list(candidates(truth, detections, label, MAX_DETECTIONS[-1]))
        for a, area_range in enumerate(AREA_RANGES.values()):
            matches = [match(one, IOU_THRESHOLDS, area_range) for one in found]
            if not sum(one.objects for one in matches):
                continue
            for m, limit in enumerate(MAX_DETECTIONS):
                at = (slice(None), slice(None), label, a, m)
                precision[at], recall[:, label, a, m], scores[at] = accumulate(matches, limit)
    return AveragePrecision(precision, recall, scores)


def accumulate(matches: Sequence[Matches], limit: int) -> tuple[Floats, Floats, Floats]:
    """Return the precision at each recall (T × R), the largest recall (T), and the scores (T × R) of all images.

    The precision is interpolated: at each recall, the largest precision at this or a larger recall.
    """
    scores = np.concatenate([one.scores[:limit] for one in matches])
    order = np.argsort(-scores, kind="stable")
    hit = np.concatenate([one.hit[:, :limit] for one in matches], axis=1)[:, order]
    counted = ~np.concatenate([one.ignored[:, :limit] for one in matches], axis=1)[:, order]
    objects = sum(one.objects for one in matches)
    right, wrong = (hit & counted).cumsum(1).astype(np.float64), (~hit & counted).cumsum(1).astype(np.float64)
    recall = right / objects
    precision = right / (right + wrong + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    places = np.stack([np.searchsorted(row, RECALLS) for row in recall])
    largest = recall[:, -1] if len(scores) else np.zeros(len(recall))
    padding = np.zeros((len(recall), 1))
    at_recall = np.take_along_axis(np.concatenate([precision, padding], axis=1), places, axis=1)
    return at_recall, largest, np.concatenate([scores[order], [0.0]])[places]


def _mean(values: Floats) -> float:
    """Return the mean of the numbers that are not NaN; NaN if there are none."""
    present = values[~np.isnan(values)]
    return float(present.mean()) if len(present) else float("nan")


def _nearest(threshold: float) -> int:
    return int(np.abs(IOU_THRESHOLDS - threshold).argmin())
