"""Match detections with objects, as COCO's evaluation does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.tasks.detection.boxes import iou
from opsin.tasks.detection.scored import NO_ROWS, Detections, Truth

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

AREA_RANGES = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
"""COCO's sizes of objects: areas in square pixels, both ends included."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """The objects and detections of one class in one image, the detections by descending score."""

    scores: Floats
    """D."""
    detection_areas: Floats
    object_areas: Floats
    ious: Floats
    """D × G: intersection over union, or for crowds the share of the detection that lies inside."""
    crowd: Bools
    skipped: Bools
    """Objects that count neither as found nor as missed (G): crowds and difficult objects."""


@dataclass(frozen=True, eq=False)
class Matches:
    """The result for one class in one image, at T thresholds."""

    scores: Floats
    hit: Bools
    """Whether a detection found an object (T × D)."""
    ignored: Bools
    """Whether a detection counts neither as right nor as wrong (T × D)."""
    objects: int
    """The number of objects to find."""


def candidates(truth: Truth, detections: Detections, label: int, max_detections: int) -> Iterator[Candidates]:
    """Yield the objects and detections of a class, image by image; images with neither are left out."""
    for image in range(truth.image_count):
        objects = truth.groups.get((image, label), NO_ROWS)
        found = detections.groups.get((image, label), NO_ROWS)[:max_detections]
        if len(objects) or len(found):
            crowd = truth.crowd[objects]
            yield Candidates(
                detections.scores[found],
                detections.areas[found],
                truth.areas[objects],
                iou(detections.corners[found], truth.corners[objects], crowd),
                crowd,
                crowd | truth.difficult[objects],
            )


def match(found: Candidates, thresholds: Floats, area_range: tuple[float, float]) -> Matches:
    """Match detections greedily by descending score, each with the object that it overlaps most (COCO's rules).

    A detection takes a free object that counts before one that is ignored; a crowd may be taken again and again.
    Objects outside the area range are ignored, and so are detections outside of it that match none.
    """
    low, high = area_range
    ignored_objects = found.skipped | (found.object_areas < low) | (found.object_areas > high)
    shape = len(thresholds), len(found.scores)
    hit, ignored = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    limits = np.minimum(thresholds, 1 - 1e-10)[:, None]
    free = np.ones((len(thresholds), len(ignored_objects)), np.bool_)
    for d in np.flatnonzero((found.ious >= limits.min()).any(1)):
        fits = (found.ious[d] >= limits) & (free | found.crowd)
        counted = _best(found.ious[d], fits & ~ignored_objects)
        second = _best(found.ious[d], fits & ignored_objects)
        best = np.where(counted >= 0, counted, second)
        rows = np.flatnonzero(best >= 0)
        free[rows, best[rows]] = False
        hit[rows, d] = True
        ignored[rows, d] = ignored_objects[best[rows]]
    outside = (found.detection_areas < low) | (found.detection_areas > high)
    return Matches(found.scores, hit, ignored | (~hit & outside), int((~ignored_objects).sum()))


def _best(ious: Floats, allowed: Bools) -> NDArray[np.intp]:
    """Return the allowed column with the largest IoU in each row, the last of equal ones; -1 if none is allowed."""
    if not allowed.shape[1]:
        return np.full(len(allowed), -1)
    values = np.where(allowed, ious, -1.0)[:, ::-1]
    columns = allowed.shape[1] - 1 - values.argmax(1)
    return np.where(allowed.any(1), columns, -1)
