"""The head of SSD: default boxes of fixed sizes and aspect ratios, which predict offsets to the boxes near them.

Liu et al., "SSD: single shot multibox detector", ECCV 2016. Default boxes, matching and loss are torchvision's. Where a
box lies inside of several default boxes of the same size, rounding decides which of them learns it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import ops
from opsin.base.concurrency import lazy
from opsin.ir import Tensor
from opsin.nn.objective import Tensors
from opsin.tasks.detection.heads.head import Floats, Head, counted, iou, positive
from opsin.tasks.detection.heads.losses import largest

MATCH_IOU = 0.5
"""The IoU from which a default box learns a box."""
NEGATIVES = 3.0
"""Default boxes without an object that count in an image, for each one with an object."""
OFFSET_SCALES = np.array([10.0, 10.0, 5.0, 5.0])
"""Factors of the offsets, so that they vary about as much as the logits."""
MAX_LOG_RATIO = math.log(1000 / 16)
"""The limit of the logarithm of a box's size relative to its default box."""


def _ssd300_cells(size: int) -> list[int]:
    first = -(-(size // 4) // 2)
    cells = [first, first // 2]
    cells += [-(-cells[-1] // 2)]
    cells += [-(-cells[-1] // 2)]
    return [*cells, cells[-1] - 2, cells[-1] - 4]


def _ssdlite_cells(size: int) -> list[int]:
    return [-(-size // stride) for stride in (16, 32, 64, 128, 256, 512)]


def _even_scales(low: float, high: float, maps: int) -> tuple[float, ...]:
    return (*(low + (high - low) * number / (maps - 1) for number in range(maps)), 1.0)


@dataclass(frozen=True)
class Layout:
    """The default boxes of a network with several maps; sizes are shares of the image's sides."""

    cells: Callable[[int], Sequence[int]]
    """From the rows or columns of an image to those of each map."""
    scales: tuple[float, ...]
    """The side of the square boxes of each map, and one more."""
    ratios: tuple[tuple[float, ...], ...]
    """The other aspect ratios of each map; each gives a wide and a tall box."""
    steps: tuple[int, ...] | None = None
    """The pixels from box to box in each map. By default, boxes fill the image evenly."""

    def boxes(self, size: tuple[int, int]) -> Floats:
        """Return the default boxes of images of `size`, A × (centre x, centre y, width, height)."""
        parts = []
        for level, (rows, columns) in enumerate(zip(self.cells(size[0]), self.cells(size[1]), strict=True)):
            step = self.steps[level] if self.steps else 0
            y = (np.arange(rows) + 0.5) / (size[0] / step if step else rows)
            x = (np.arange(columns) + 0.5) / (size[1] / step if step else columns)
            shapes = self.shapes(level)
            grid = np.stack(np.meshgrid(x, y), axis=2).reshape(-1, 1, 2)
            centres = np.broadcast_to(grid, (rows * columns, len(shapes), 2))
            parts.append(np.concatenate([centres, np.broadcast_to(shapes, centres.shape)], axis=2).reshape(-1, 4))
        return np.concatenate(parts)

    def shapes(self, level: int) -> Floats:
        """Return the widths and heights of the boxes in each cell of a map."""
        scale, following = self.scales[level : level + 2]
        middle = math.sqrt(scale * following)
        shapes = [(scale, scale), (middle, middle)]
        for root in map(math.sqrt, self.ratios[level]):
            shapes += [(scale * root, scale / root), (scale / root, scale * root)]
        return np.array(shapes).clip(0, 1)


LAYOUTS = {
    "ssd300_vgg16": Layout(
        _ssd300_cells,
        (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05),
        ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,)),
        (8, 16, 32, 64, 100, 300),
    ),
    "ssdlite320_mobilenet_v3_large": Layout(_ssdlite_cells, _even_scales(0.2, 0.95, 6), ((2, 3),) * 6),
}
"""The default boxes of the zoo's networks."""


@dataclass(frozen=True)
class AnchorHead(Head):
    """A head with the default boxes of a `layout`.

    Outputs: "class_logits" N × boxes × (1 + classes), of which the first is the background; "box_offsets" N × boxes ×
    4: the centre's x and y relative to those of the default box, in its widths and heights, and the logarithms of the
    width and height relative to it, times `OFFSET_SCALES`.
    """

    layout: Layout

    @property
    def count(self) -> int:
        return len(self.default_boxes)

    @property
    def chance_loss(self) -> float:
        # Every class is as likely, and each of the four scaled offsets is wrong by about 1.
        return (1 + NEGATIVES) * math.log(self.classes + 1) + 4

    @property
    def logits(self) -> int:
        return self.classes + 1

    @lazy
    def default_boxes(self) -> Floats:
        """The default boxes, A × (centre x, centre y, width, height), as shares of the image's sides."""
        return self.layout.boxes(self.input_size)

    def loss(self, outputs: Tensors, targets: Tensors) -> Tensor:
        """Return the cross entropy plus the smooth L1 loss of the offsets, per default box with an object.

        Of the default boxes without one, those with the largest cross entropy count, `NEGATIVES` in each image for
        each one with an object, so that an image without objects has a loss of 0.
        """
        learns, logits = positive(targets), outputs["class_logits"]
        labels = ops.one_hot(targets["class_targets"], self.classes + 1)
        entropy = ops.negate(ops.sum(ops.multiply(ops.log_softmax(logits, 2), labels), 2))
        negatives = ops.subtract(counted(targets), learns)
        chosen = largest(entropy, negatives, ops.multiply(ops.sum(learns, 1, keepdims=True), NEGATIVES))
        of_classes = ops.sum(ops.multiply(entropy, ops.add(learns, chosen)))
        distance = ops.absolute(ops.subtract(outputs["box_offsets"], targets["box_targets"]))
        near = ops.minimum(distance, 1.0)
        smooth = ops.multiply(near, ops.subtract(distance, ops.multiply(near, 0.5)))
        of_boxes = ops.sum(ops.multiply(ops.sum(smooth, 2), learns))
        return ops.divide(ops.add(of_classes, of_boxes), ops.maximum(ops.sum(learns), 1.0))

    def _match(self, boxes: Floats) -> NDArray[np.intp]:
        default = self.default_boxes
        if not len(boxes):
            return np.full(len(default), -1, np.intp)
        overlap = iou(boxes, _corners(default))
        matches = np.where(overlap.max(0) >= MATCH_IOU, overlap.argmax(0), -1)
        # Each box has at least one default box that learns it, and in a conflict the last box wins.
        matches[overlap.argmax(1)] = np.arange(len(boxes))
        return matches

    def _covered(self, boxes: Floats) -> NDArray[np.bool_]:
        default = self.default_boxes
        if not len(boxes):
            return np.zeros(len(default), bool)
        return np.asarray(iou(boxes, _corners(default)).max(0) >= MATCH_IOU)

    def _offsets(self, boxes: Floats, positions: NDArray[Any]) -> Floats:
        default = self.default_boxes[positions]
        sizes = boxes[:, 2:] - boxes[:, :2]
        shifts = ((boxes[:, :2] + boxes[:, 2:]) / 2 - default[:, :2]) / default[:, 2:]
        return np.asarray(np.concatenate([shifts, np.log(sizes / default[:, 2:])], axis=1) * OFFSET_SCALES)

    def _boxes(self, offsets: Floats, positions: NDArray[Any]) -> Floats:
        default, scaled = self.default_boxes[positions], offsets / OFFSET_SCALES
        centres = default[:, :2] + scaled[:, :2] * default[:, 2:]
        sizes = default[:, 2:] * np.exp(np.minimum(scaled[:, 2:], MAX_LOG_RATIO))
        return _corners(np.concatenate([centres, sizes], axis=1))

    def _scores(self, logits: NDArray[Any]) -> NDArray[Any]:
        odds = np.exp(logits - logits.max(2, keepdims=True))
        return np.asarray((odds / odds.sum(2, keepdims=True))[..., 1:])


def _corners(boxes: Floats) -> Floats:
    """Return boxes given by centre and size by their edges."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
