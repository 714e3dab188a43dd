"""Non-maximum suppression: of detections of one class that overlap, keep the one with the highest score."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.tasks.detection.boxes import iou

BLOCK = 64
"""Boxes that are compared with each other at once. Larger blocks compute IoUs that are not needed."""


def batched_nms(
    boxes: NDArray[Any],
    scores: NDArray[Any],
    classes: NDArray[Any],
    threshold: float,
    *,
    candidates: int | None = None,
    limit: int | None = None,
) -> NDArray[np.intp]:
    """Return the numbers of the boxes to keep, by descending score, as torchvision.ops.batched_nms does.

    `boxes` are N × (left, top, right, bottom). A box is dropped if its IoU with a kept box of its class is larger than
    `threshold`. Equal scores keep their order. Only the `candidates` boxes with the highest scores are considered, and
    at most `limit` are kept.
    """
    order = np.argsort(-scores, kind="stable")[:candidates]
    # Within a class the order of the scores stays, because the sort is stable.
    by_class = order[np.argsort(classes[order], kind="stable")]
    bounds = np.flatnonzero(np.diff(classes[by_class])) + 1
    kept = [rows[_kept(boxes[rows], threshold, limit)] for rows in np.split(by_class, bounds)]
    rank = np.empty(len(scores), np.intp)
    rank[order] = np.arange(len(order))
    every = np.concatenate(kept)
    return every[np.argsort(rank[every])][:limit]


def _kept(boxes: NDArray[Any], threshold: float, limit: int | None) -> NDArray[np.intp]:
    """Return the boxes of one class to keep; they come by descending score."""
    left = np.arange(len(boxes))
    kept: list[NDArray[np.intp]] = []
    count = 0
    while len(left) and (limit is None or count < limit):
        block, left = left[:BLOCK], left[BLOCK:]
        chosen = block[_greedy(_overlapping(boxes[block], boxes[block], threshold))]
        left = left[~_overlapping(boxes[left], boxes[chosen], threshold).any(1)]
        kept.append(chosen)
        count += len(chosen)
    return np.concatenate(kept) if kept else np.zeros(0, np.intp)


def _overlapping(a: NDArray[Any], b: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    # float32 IoUs are compared with the threshold in double precision, as torchvision does.
    overlapping: NDArray[np.bool_] = iou(a, b) > np.float64(threshold)
    return overlapping


def _greedy(overlapping: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the rows of a square matrix that no earlier kept row overlaps."""
    free = np.ones(len(overlapping), np.bool_)
    for row in range(len(overlapping)):
        if free[row]:
            free[row + 1 :] &= ~overlapping[row, row + 1 :]
    return np.flatnonzero(free)
