"""The average precision of the Pascal VOC challenges (Everingham et al. 2010, doi:10.1007/s11263-009-0275-4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opsin.tasks.detection.boxes import iou
from opsin.tasks.detection.scored import NO_ROWS, Detections, Truth

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def voc_average_precision(
    truth: Truth, detections: Detections, class_count: int, *, threshold: float = 0.5, eleven_points: bool = False
) -> Floats:
    """Return the average precision of each class (K); NaN for classes without objects.

    A detection counts for the object of its class that it overlaps most, and is right if the IoU is at least
    `threshold` and no detection with a higher score has found the object; objects that are difficult, or crowds, count
    neither way. `eleven_points` averages the precision at the recalls 0, 0.1, … 1, as VOC 2007 did; otherwise the area
    under the interpolated curve is computed, as since 2010. Boxes have continuous coordinates: where the official
    program adds a pixel to widths and heights, this function does not.
    """
    return np.array([_of_class(truth, detections, label, threshold, eleven_points) for label in range(class_count)])


def _of_class(truth: Truth, detections: Detections, label: int, threshold: float, eleven_points: bool) -> float:
    skipped = truth.crowd | truth.difficult
    objects = int((~skipped[truth.classes == label]).sum())
    if not objects:
        return float("nan")
    rows = np.flatnonzero(detections.classes == label)
    order = rows[np.argsort(-detections.scores[rows], kind="stable")]
    right, wrong = _judged(truth, detections, label, order, threshold)
    recall = right.cumsum() / objects
    precision = right.cumsum() / np.maximum(right.cumsum() + wrong.cumsum(), 1)
    return _eleven_points(recall, precision) if eleven_points else _area(recall, precision)


def _judged(
    truth: Truth, detections: Detections, label: int, order: NDArray[np.intp], threshold: float
) -> tuple[Bools, Bools]:
    """Return whether each detection is right, and whether it is wrong, by descending score."""
    taken, skipped = np.zeros(len(truth.classes), np.bool_), truth.crowd | truth.difficult
    right, wrong = np.zeros(len(order), np.bool_), np.zeros(len(order), np.bool_)
    for place, row in enumerate(order):
        objects = truth.groups.get((int(detections.image[row]), label), NO_ROWS)
        overlaps = iou(detections.corners[[row]], truth.corners[objects])[0]
        best = int(overlaps.argmax()) if len(objects) else -1
        if best < 0 or overlaps[best] < threshold:
            wrong[place] = True
        elif not skipped[objects[best]]:
            wrong[place] = taken[objects[best]]
            right[place] = not wrong[place]
            taken[objects[best]] = True
    return right, wrong


def _eleven_points(recall: Floats, precision: Floats) -> float:
    # The tolerance keeps 3 of 10 objects at a recall of 0.3, which binary fractions cannot express.
    reached = [precision[recall >= point - 1e-12] for point in np.linspace(0.0, 1.0, 11)]
    return float(np.mean([values.max() if len(values) else 0.0 for values in reached]))


def _area(recall: Floats, precision: Floats) -> float:
    envelope = np.maximum.accumulate(np.append(precision, 0.0)[::-1])[::-1]
    steps = np.diff(np.concatenate([[0.0], recall]))
    return float((steps * envelope[:-1]).sum())
