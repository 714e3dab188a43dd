"""One-hot encoding of labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import FLOAT, INT, Node, Tensor, Type
from opsin.ops import sampling
from opsin.ops.registry import Array, Primitive, Sample, register


class OneHot(Primitive):
    """labels, whole numbers of any shape S → S + (classes,): 1 at the label, else 0; all 0 outside 0 … classes-1."""

    name = "one_hot"

    def infer(self, labels: Type, *, classes: int) -> Type:
        if labels.dtype != INT:
            raise ShapeError(f"one_hot: labels are whole numbers, got {labels} of real ones")
        if classes < 1:
            raise ShapeError(f"one_hot: expected at least one class, got {classes}")
        return Type((*labels.shape, classes), FLOAT)

    def evaluate(self, labels: Array, *, classes: int) -> Array:
        return np.equal(labels[..., None], np.arange(classes)).astype(np.float64)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        return (None,)

    def sample(self, rng: np.random.Generator) -> Sample:
        classes = sampling.pick(rng, sampling.CHANNELS)
        return Sample((sampling.whole(rng, sampling.shape(rng, 0, 2), 0, classes),), {"classes": classes})


_one_hot = register(OneHot())


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Return labels of shape S as S × classes, 1.0 at each label and 0.0 elsewhere. It has no gradient."""
    return _one_hot(labels, classes=classes).output
