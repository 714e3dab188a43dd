"""The index of the maximum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import INT, Node, Tensor, Type
from opsin.ops import sampling
from opsin.ops.registry import Array, Primitive, Sample, need_float, register
from opsin.ops.reshape import resolve_axes


class Argmax(Primitive):
    """x → the index of the maximum along `axis`, which is removed; the first of equal maxima."""

    name = "argmax"

    def infer(self, x: Type, *, axis: int) -> Type:
        need_float(self.name, x)
        if not 0 <= axis < len(x.shape):
            raise ShapeError(f"argmax: {x} has no axis {axis}")
        return Type((*x.shape[:axis], *x.shape[axis + 1 :]), INT)

    def evaluate(self, x: Array, *, axis: int) -> Array:
        return np.asarray(x.argmax(axis), dtype=np.int32)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        return (None,)

    def sample(self, rng: np.random.Generator) -> Sample:
        sizes = sampling.shape(rng, 1)
        ties = sampling.whole(rng, sizes, -3, 4).astype(np.float64)
        x = ties if sampling.flip(rng) else sampling.distinct(rng, sizes)
        return Sample((x,), {"axis": sampling.between(rng, 0, len(sizes) - 1)})


_argmax = register(Argmax())


def argmax(x: Tensor, axis: int = -1) -> Tensor:
    """Return the index of the maximum along `axis`, the first of equal maxima, as int. It has no gradient."""
    (axis_index,) = resolve_axes("argmax", x, axis)
    return _argmax(x, axis=axis_index).output
