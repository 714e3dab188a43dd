"""Conversion of whole numbers to real numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import FLOAT, INT, Node, Tensor, Type
from opsin.ops.registry import Array, Primitive, Sample, register
from opsin.ops.sampling import shape, whole


class Cast(Primitive):
    """x, whole numbers of any shape → the same numbers as real numbers. `dtype` is "float"."""

    name = "cast"

    def infer(self, x: Type, *, dtype: str) -> Type:
        if x.dtype != INT or dtype != FLOAT:
            raise ShapeError(f"cast: converts whole numbers to real ones, not {x} into {dtype}")
        return Type(x.shape, FLOAT)

    def evaluate(self, x: Array, *, dtype: str) -> Array:
        return x.astype(np.float64)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        return (None,)

    def sample(self, rng: np.random.Generator) -> Sample:
        return Sample((whole(rng, shape(rng), -1000, 1000),), {"dtype": FLOAT})


_cast = register(Cast())


def cast(x: Tensor) -> Tensor:
    """Return the whole numbers `x` as real numbers. It has no gradient."""
    return _cast(x, dtype=FLOAT).output
