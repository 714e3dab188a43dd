"""Boundary F1: how well the outlines of predicted classes follow the true ones (Csurka et al. 2013)."""

from __future__ import annotations

from math import hypot, isqrt

import numpy as np
from numpy.typing import NDArray

from opsin.tasks.segmentation.coding import IGNORE, Ids

TOLERANCE = 0.0075
"""The distance up to which outlines match, as a share of the image's diagonal."""

Mask = NDArray[np.bool_]


def boundary_f1(labels: Ids, predictions: Ids, classes: int, tolerance: float = TOLERANCE) -> NDArray[np.float64]:
    """Return the F1 of the outlines of each class in an image, H × W each; NaN for classes without an outline in both.

    The precision is the share of predicted outline pixels that are at most `tolerance` · diagonal away from a true one,
    the recall the share of true ones that near a predicted one. An outline consists of the pixels of a class next to
    one of another class; the edge of the image is none, nor is the edge of an ignored area.
    """
    predictions = np.where(labels == IGNORE, np.uint8(IGNORE), predictions)
    reach = tolerance * hypot(*labels.shape)
    edges = _edges(labels), _edges(predictions)
    scores = np.full(classes, np.nan)
    for number in range(classes):
        true, predicted = (edge & (ids == number) for edge, ids in zip(edges, (labels, predictions), strict=True))
        if true.any() or predicted.any():
            precision, recall = _share_near(predicted, true, reach), _share_near(true, predicted, reach)
            scores[number] = 2 * precision * recall / max(precision + recall, 1e-12)
    return scores


def _edges(ids: Ids) -> Mask:
    """Return the pixels that have a neighbour of another class above, below, left or right."""
    edges = np.zeros(ids.shape, np.bool_)
    counts = ids != IGNORE
    for one, other in ((np.s_[1:, :], np.s_[:-1, :]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = (ids[one] != ids[other]) & counts[one] & counts[other]
        edges[one] |= differ
        edges[other] |= differ
    return edges


def _share_near(points: Mask, others: Mask, reach: float) -> float:
    """Return the share of the points that have another one within `reach`; 0 without points."""
    if not points.any() or not others.any():
        return 0.0
    return float((points & dilated(others, reach)).sum() / points.sum())


def dilated(points: Mask, reach: float) -> Mask:
    """Return the pixels whose distance to a point is at most `reach`: each row widened, then spread up and down."""
    height, width = points.shape
    result = np.zeros_like(points)
    squared = int(reach * reach + 1e-9)
    sums = np.zeros((height, width + 1), np.int32)
    np.cumsum(points, axis=1, out=sums[:, 1:])
    columns = np.arange(width)
    for down in range(min(isqrt(squared), height - 1) + 1):
        side = isqrt(squared - down * down)
        wide = sums[:, np.minimum(columns + side + 1, width)] > sums[:, np.maximum(columns - side, 0)]
        result[down:] |= wide[: height - down]
        result[: height - down] |= wide[down:]
    return result
