"""Conversion between whole numbers and real numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import FLOAT, INT, Node, Tensor, Type
from opsin.ir.arguments import one_of
from opsin.ops.registry import Array, Primitive, Sample, register
from opsin.ops.sampling import flip, shape, whole


class Cast(Primitive):
    """x of any shape → the same numbers as `dtype`: whole numbers as "float", or real numbers, cut towards 0, as "int".

    The result for a NaN, or for a number that an int32 cannot hold, is unspecified.
    """

    name = "cast"

    def infer(self, x: Type, *, dtype: str) -> Type:
        if (x.dtype, dtype) not in ((INT, FLOAT), (FLOAT, INT)):
            raise ShapeError(f"cast: converts whole numbers into real ones and real ones into whole ones, not {x} into "
                             f"{dtype}")  # fmt: skip
        return Type(x.shape, dtype)

    def evaluate(self, x: Array, *, dtype: str) -> Array:
        return np.trunc(x).astype(np.int32) if dtype == INT else x.astype(np.float64)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        return (None,)

    def sample(self, rng: np.random.Generator) -> Sample:
        x = whole(rng, shape(rng), -1000, 1000)
        if flip(rng):
            return Sample((x,), {"dtype": FLOAT})
        return Sample((x + np.sign(x) * rng.uniform(0.01, 0.99, x.shape),), {"dtype": INT})


_cast = register(Cast())


def cast(x: Tensor, dtype: str = FLOAT) -> Tensor:
    """Return whole numbers `x` as real numbers, or with `dtype` "int" real numbers as whole ones, cut towards 0.

    It has no gradient. A tensor that has the dtype already is returned itself.
    """
    one_of("cast: dtype", dtype, (FLOAT, INT))
    return x if x.dtype == dtype else _cast(x, dtype=dtype).output
