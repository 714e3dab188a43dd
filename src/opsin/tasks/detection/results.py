"""The boxes of many images that a network found, next to those that are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from opsin.tasks.detection.boxes import Boxes
from opsin.tasks.detection.heads import Head
from opsin.tasks.detection.nms import batched_nms
from opsin.tasks.detection.scored import Detections
from opsin.tasks.task import Outputs

MIN_SCORE = 0.01
"""The lowest score of boxes that the average precision takes into account: more recall, hardly less speed."""

MAX_CANDIDATES = 1000
"""The boxes of an image, by descending score, among which overlapping ones are sought."""

MAX_DETECTIONS = 300
"""The most boxes of an image that remain."""

MAX_OVERLAP = 0.6
"""The IoU above which the worse one of two boxes of the same class is dropped."""


@dataclass(frozen=True, eq=False)
class Result:
    """The `detections` in some images, with scores from `MIN_SCORE`, and the true `boxes`."""

    detections: Detections
    boxes: Boxes

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Return the results of several sets of images as one."""
        counts = [len(part.boxes) for part in parts]
        starts = np.cumsum([0, *counts[:-1]])
        found = Detections.concatenate([part.detections for part in parts], starts)
        return cls(found, Boxes.concatenate(part.boxes for part in parts))


def find_objects(
    head: Head, outputs: Outputs, sizes: Sequence[tuple[int, int]], min_score: float = MIN_SCORE
) -> Detections:
    """Return the objects in N images of these `sizes` (height, width) by descending score, without overlapping ones."""
    parts = []
    for image, (found, (height, width)) in enumerate(
        zip(head.decode(outputs, min_score, MAX_CANDIDATES), sizes, strict=True)
    ):
        kept = batched_nms(found.boxes, found.scores, found.classes, MAX_OVERLAP, limit=MAX_DETECTIONS)
        corners = found.boxes[kept].astype(np.float64) * (width, height, width, height)
        scores = found.scores[kept].astype(np.float64)
        parts.append(Detections(np.full(len(kept), image), found.classes[kept], corners, scores))
    return Detections.concatenate(parts)
