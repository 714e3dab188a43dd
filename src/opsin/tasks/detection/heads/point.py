"""The head of detectors without anchors: points predict the distances to the edges of the box around them.

Tian, Shen, Chen & He, "FCOS", ICCV 2019. Which points learn which box follows from the boxes: Zhang, Chi, Yao, Lei &
Li, "Bridging the gap between anchor-based and anchor-free detection via adaptive training sample selection", CVPR 2020.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import ops
from opsin.base.concurrency import lazy
from opsin.ir import Tensor
from opsin.nn.objective import Tensors
from opsin.tasks.detection.heads.head import Floats, Head, counted, positive
from opsin.tasks.detection.heads.losses import distance_iou, quality_focal_loss
from opsin.zoo.efficientnet_lite_det import PRIOR

NEAREST = 9
"""Points of each map that may learn a box: those nearest to its centre."""
SQUARE = 8.0
"""The side of the square around a point, in strides, whose IoU with a box says how well the point suits it."""
BOX_WEIGHT = 2.0
"""The weight of the loss of the boxes relative to that of the classes."""


@dataclass(frozen=True)
class PointHead(Head):
    """A head whose maps have the given `strides`, in pixels.

    Outputs: "class_logits" N × points × classes; "box_offsets" N × points × 4, the distances to the left, top, right
    and bottom edge in strides, which are not negative. Points are ordered by map, row and column.
    """

    strides: tuple[int, ...] = (8, 16, 32, 64)

    @property
    def count(self) -> int:
        return sum(rows * columns for rows, columns in self.grids)

    @property
    def chance_loss(self) -> float:
        return BOX_WEIGHT - math.log(PRIOR)

    @property
    def grids(self) -> list[tuple[int, int]]:
        """The rows and columns of points of each map."""
        height, width = self.input_size
        return [(-(-height // stride), -(-width // stride)) for stride in self.strides]

    @lazy
    def points(self) -> Floats:
        """The positions x, y of the points, and their strides, in pixels: points × 3."""
        parts = []
        for (rows, columns), stride in zip(self.grids, self.strides, strict=True):
            y, x = np.mgrid[:rows, :columns].reshape(2, -1)
            parts.append(np.stack([(x + 0.5) * stride, (y + 0.5) * stride, np.full(x.shape, float(stride))], axis=1))
        return np.concatenate(parts)

    def loss(self, outputs: Tensors, targets: Tensors) -> Tensor:
        """Return the quality focal loss plus `BOX_WEIGHT` times 1 - generalized IoU, per point that learns a box.

        The quality of a point that learns a box is the IoU of its prediction.
        """
        learns, logits = positive(targets), outputs["class_logits"]
        iou, generalized = distance_iou(outputs["box_offsets"], targets["box_targets"])
        one_hot = ops.narrow(ops.one_hot(targets["class_targets"], self.classes + 1), 2, 1, self.classes)
        batch, count = iou.shape
        quality = ops.multiply(one_hot, ops.reshape(ops.stop_gradient(iou), (batch, count, 1)))
        of_classes = ops.multiply(ops.sum(quality_focal_loss(logits, quality), 2), counted(targets))
        of_boxes = ops.multiply(ops.subtract(1.0, generalized), learns)
        total = ops.add(ops.sum(of_classes), ops.multiply(ops.sum(of_boxes), BOX_WEIGHT))
        return ops.divide(total, ops.maximum(ops.sum(learns), 1.0))

    def _match(self, boxes: Floats) -> NDArray[np.intp]:
        points = self.points
        if not len(boxes):
            return np.full(len(points), -1, np.intp)
        return assign(self._pixels(boxes), points, self.grids)

    def _covered(self, boxes: Floats) -> NDArray[np.bool_]:
        return np.asarray((_distances(self._pixels(boxes), self.points) > 0).all(2).any(0))

    def _offsets(self, boxes: Floats, positions: NDArray[Any]) -> Floats:
        points = self.points[positions]
        centres = points[:, :2]
        pixels = self._pixels(boxes)
        distances = np.concatenate([centres - pixels[:, :2], pixels[:, 2:] - centres], axis=1)
        return np.asarray(distances.clip(0) / points[:, 2:])

    def _boxes(self, offsets: Floats, positions: NDArray[Any]) -> Floats:
        points = self.points[positions]
        centres, distances = points[:, :2], offsets * points[:, 2:]
        return np.concatenate([centres - distances[:, :2], centres + distances[:, 2:]], axis=1) / self._scale

    def _scores(self, logits: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)))

    def _pixels(self, boxes: Floats) -> Floats:
        return boxes * self._scale

    @property
    def _scale(self) -> Floats:
        height, width = self.input_size
        return np.array([width, height, width, height], np.float64)


def assign(boxes: Floats, points: Floats, grids: list[tuple[int, int]]) -> NDArray[np.intp]:
    """Return, for each point, the number of the box that it learns, or -1.

    `boxes` are M × 4 and `points` P × (x, y, stride) in pixels; `grids` are the rows and columns of each map, M ≥ 1.
    Of each map, the `NEAREST` points to the centre of a box are candidates. They learn the box if they lie inside of
    it and the IoU of the box and a square around the point is at least the mean plus the standard deviation of all
    candidates. If there is no such point, the best candidate inside, or else the nearest point of the finest map,
    learns the box. A point that could learn several boxes learns that with the largest IoU.
    """
    candidates = _candidates(boxes, points, grids)
    near = points[candidates]
    overlap = _square_iou(boxes, near)
    inside: NDArray[np.bool_] = np.all(_distances(boxes, near) > 0, axis=2)
    threshold = overlap.mean(1) + overlap.std(1, ddof=1)
    learns = inside & (overlap >= threshold[:, None])
    alone = np.flatnonzero(~learns.any(1))
    # The first candidate is the nearest point of the finest map.
    learns[alone, np.where(inside[alone], overlap[alone], 0).argmax(1)] = True
    overlap[alone] = 2  # more than any IoU: a box that no other point learns comes first
    box, place = learns.nonzero()
    order = np.lexsort((-box, overlap[box, place]))
    matches = np.full(len(points), -1)
    matches[candidates[box, place][order]] = box[order]  # the last one stays, which has the largest IoU
    return matches


def _candidates(boxes: Floats, points: Floats, grids: list[tuple[int, int]]) -> NDArray[np.intp]:
    """Return the `NEAREST` points of each map to the centre of each box, the nearest first."""
    sizes = np.array(grids)
    starts = np.cumsum(sizes.prod(1)) - sizes.prod(1)
    strides = points[starts, 2]
    centres = _centres(boxes)[:, None] / strides[:, None]  # boxes × maps × (x, y), in cells
    row, to_row = _window(centres[..., 1], sizes[:, 0])
    column, to_column = _window(centres[..., 0], sizes[:, 1])
    away = (to_row[..., None] + to_column[..., None, :]).reshape(*row.shape[:2], -1)
    numbers = starts[:, None, None] + row[..., None] * sizes[:, 1, None, None] + column[..., None, :]
    nearest = away.argsort(2, kind="stable")[..., :NEAREST]
    chosen = np.take_along_axis(numbers.reshape(away.shape), nearest, 2)
    return np.concatenate([chosen[:, level, : rows * columns] for level, (rows, columns) in enumerate(grids)], axis=1)


def _window(centres: Floats, counts: NDArray[np.intp]) -> tuple[NDArray[np.intp], Floats]:
    """Return the `NEAREST` rows, or columns, around centres (boxes × maps), and the squares of their distances.

    `counts` are those of each map. The distance of rows beyond the last one is infinite. No point outside of these
    rows and columns is among the `NEAREST` ones: as many points of its row or column are nearer.
    """
    first = np.floor(centres).astype(np.intp) - NEAREST // 2
    numbers = np.maximum(np.minimum(first, counts - NEAREST), 0)[..., None] + np.arange(NEAREST)
    away = np.square(numbers + 0.5 - centres[..., None])
    return numbers, np.where(numbers < counts[:, None], away, np.inf)


def _square_iou(boxes: Floats, points: Floats) -> Floats:
    """Return the IoU of each box with the squares around its candidate `points`, M × candidates × 3."""
    half = SQUARE / 2 * points[..., 2:]
    upper = np.maximum(points[..., :2] - half, boxes[:, None, :2])
    lower = np.minimum(points[..., :2] + half, boxes[:, None, 2:])
    shared = (lower - upper).clip(0).prod(2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)[:, None] + np.square(2 * half[..., 0])
    return np.asarray(shared / (areas - shared))


def _centres(boxes: Floats) -> Floats:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def _distances(boxes: Floats, points: Floats) -> Floats:
    """Return the distances from points to the four edges of boxes in pixels, boxes × points × 4.

    `points` are points × 3, or boxes × points × 3.
    """
    centres = points[..., :2]
    return np.concatenate([centres - boxes[:, None, :2], boxes[:, None, 2:] - centres], axis=2)
