"""What the heads of detectors have in common: the positions that predict, their targets, and candidates.

A detector predicts at `count` fixed positions of the input: points, or default boxes. Boxes are M × (left, top, right,
bottom), as shares of the width and height of the image. A head is an `opsin.nn.Objective`, with which
`opsin.nn.training_graph` trains. The outputs of a detector are "class_logits", N × positions × logits, and
"box_offsets", N × positions × 4.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import ops
from opsin.base.errors import DataError, ShapeError
from opsin.ir import BATCH, INT, Tensor, input_tensor, show
from opsin.nn.objective import Tensors

Floats = NDArray[np.float64]
IGNORED = -1
"""The class target of a position that counts neither as an object nor as background."""
BACKGROUND = 0
"""The class target of a position without an object; that of a position with class c is c + 1."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Boxes that an image may contain, before non-maximum suppression, by decreasing score."""

    boxes: NDArray[np.float32]
    """M × 4."""
    scores: NDArray[np.float32]
    """M, from 0 to 1."""
    classes: NDArray[np.int32]
    """M, from 0."""
    positions: NDArray[np.intp] | None = None
    """M, the positions that predict them; None if these are not known."""


@dataclass(frozen=True)
class Head(ABC):
    """The head of a detector of `classes` classes for images of `input_size` (height, width in pixels)."""

    classes: int
    input_size: tuple[int, int]

    @property
    @abstractmethod
    def count(self) -> int:
        """The number of positions."""

    @property
    def logits(self) -> int:
        """The number of logits of each position."""
        return self.classes

    @property
    @abstractmethod
    def chance_loss(self) -> float:
        """About the loss of a network that finds nothing."""

    def targets(self, outputs: Tensors) -> dict[str, Tensor]:
        """Return the targets of a batch as graph inputs: "class_targets" N × count and "box_targets" N × count × 4.

        Raise `ShapeError` if the network's outputs are not those of this head.
        """
        shapes = {"class_logits": (BATCH, self.count, self.logits), "box_offsets": (BATCH, self.count, 4)}
        if {name: tensor.shape for name, tensor in outputs.items()} != shapes:
            given = ", ".join(f"{name} {tensor.type}" for name, tensor in outputs.items())
            expected = ", ".join(f"{name} {show(shape)}" for name, shape in shapes.items())
            raise ShapeError(f"the network gives {given}, but its head takes {expected}; train a detector of the zoo")
        return {
            "class_targets": input_tensor("class_targets", (BATCH, self.count), INT),
            "box_targets": input_tensor("box_targets", (BATCH, self.count, 4)),
        }

    def encode(
        self, boxes: NDArray[Any], classes: NDArray[Any], ignored: NDArray[np.bool_] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Return the targets of one image: "class_targets", `count` int32, and "box_targets", `count` × 4 float32.

        `boxes` are M × 4, `classes` M whole numbers from 0, and `ignored` says of each box whether it is to be
        neither found nor counted as background. Boxes without an area are left out. Raise `DataError` if the arrays do
        not match, or a class does not exist.
        """
        boxes, classes = np.asarray(boxes, np.float64).reshape(-1, 4), np.asarray(classes, np.int64).reshape(-1)
        skip = np.zeros(len(boxes), bool) if ignored is None else np.asarray(ignored, bool).reshape(-1)
        if not len(boxes) == len(classes) == len(skip):
            raise DataError(f"{len(boxes)} boxes, {len(classes)} classes and {len(skip)} flags; give one for each box")
        if classes.size and not 0 <= classes.min() <= classes.max() < self.classes:
            raise DataError(f"classes from {classes.min()} to {classes.max()}; they must be 0 to {self.classes - 1}")
        used = (boxes[:, 2:] > boxes[:, :2]).all(1)
        found, rest = used & ~skip, used & skip
        matches = self._match(boxes[found])
        positive = matches >= 0
        targets = np.zeros(self.count, np.int32)
        if rest.any():
            targets[self._covered(boxes[rest])] = IGNORED
        targets[positive] = classes[found][matches[positive]] + 1
        offsets = np.zeros((self.count, 4), np.float32)
        offsets[positive] = self._offsets(boxes[found][matches[positive]], positive)
        return {"class_targets": targets, "box_targets": offsets}

    @abstractmethod
    def loss(self, outputs: Tensors, targets: Tensors) -> Tensor:
        """Return the loss of a batch, a scalar. `targets` are those of `encode`, stacked."""

    def statistics(self, outputs: Tensors, targets: Tensors) -> dict[str, Tensor]:
        """Return "positives", the number of positions in the batch that learn a box."""
        return {"positives": ops.sum(positive(targets))}

    def decode(
        self, outputs: Mapping[str, NDArray[Any]], score_threshold: float = 0.05, top_k: int = 1000
    ) -> list[Candidates]:
        """Return the candidates of each image of a batch: at most `top_k`, with scores above `score_threshold`.

        A position may give several candidates, of different classes. Boxes are cut at the edges of the image.
        """
        pairs = zip(self._scores(outputs["class_logits"]), outputs["box_offsets"], strict=True)
        return [self._candidates(scores, offsets, score_threshold, top_k) for scores, offsets in pairs]

    def _candidates(self, scores: NDArray[Any], offsets: NDArray[Any], threshold: float, top_k: int) -> Candidates:
        flat = scores.reshape(-1)
        above = np.flatnonzero(flat > threshold)
        best = above[np.argsort(-flat[above], kind="stable")[:top_k]]
        positions, classes = np.divmod(best, self.classes)
        boxes = self._boxes(offsets[positions].astype(np.float64), positions).clip(0, 1)
        return Candidates(boxes.astype(np.float32), flat[best].astype(np.float32), classes.astype(np.int32), positions)

    @abstractmethod
    def _match(self, boxes: Floats) -> NDArray[np.intp]:
        """Return, for each position, the number of the box that it is to find, or -1."""

    @abstractmethod
    def _covered(self, boxes: Floats) -> NDArray[np.bool_]:
        """Return whether each position lies in one of the `boxes`."""

    @abstractmethod
    def _offsets(self, boxes: Floats, positions: NDArray[Any]) -> Floats:
        """Return the box targets of some positions, for one box each."""

    @abstractmethod
    def _boxes(self, offsets: Floats, positions: NDArray[Any]) -> Floats:
        """Return the boxes of some positions; the inverse of `_offsets`."""

    @abstractmethod
    def _scores(self, logits: NDArray[Any]) -> NDArray[Any]:
        """Return the scores, N × positions × classes."""


def positive(targets: Tensors) -> Tensor:
    """Return 1.0 for each position with an object, N × positions."""
    return ops.greater(ops.cast(targets["class_targets"]), float(BACKGROUND))


def counted(targets: Tensors) -> Tensor:
    """Return 1.0 for each position that is not ignored, N × positions."""
    return ops.greater(ops.cast(targets["class_targets"]), IGNORED + 0.5)


def iou(a: Floats, b: Floats) -> Floats:
    """Return the intersection over union of boxes A × 4 and B × 4, A × B."""
    corners = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared: Floats = (corners[1] - corners[0]).clip(0).prod(2)
    areas_a, areas_b = ((boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (a, b))
    union = areas_a[:, None] + areas_b - shared
    return np.asarray(shared / np.where(union > 0, union, 1))
