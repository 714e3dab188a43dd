"""Functions of one 8-bit integer, as a table."""

from __future__ import annotations

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import Tensor, Type
from opsin.ops import sampling
from opsin.ops.quantized.sampling import random_int8
from opsin.ops.registry import Array, Primitive, Sample, need_int8, register


class LookupInt8(Primitive):
    """x, any shape, table 256 → y = table[x + 128], 8-bit integers of the shape of x.

    A table C × 256 holds one function for each channel of x N × C × …. Tables replace any function of one number: tanh,
    sigmoid, hard-swish, a change of scale, the normalization of pixels.
    """

    name = "lookup_int8"

    def infer(self, x: Type, table: Type) -> Type:
        need_int8(self.name, x, table)
        is_by_channel = len(x.shape) >= 2 and table.shape == (x.shape[1], 256)
        if table.shape != (256,) and not is_by_channel:
            raise ShapeError(
                f"{self.name}: expected a table of 256 numbers, or 256 for each channel of {x}; got {table}"
            )
        return x

    def evaluate(self, x: Array, table: Array) -> Array:
        places = x.astype(np.intp) + 128
        if table.ndim == 1:
            return np.asarray(table[places])
        return np.asarray(table[np.arange(len(table)).reshape(-1, *([1] * (x.ndim - 2))), places])

    def sample(self, rng: np.random.Generator) -> Sample:
        shape = sampling.shape(rng)
        by_channel = len(shape) >= 2 and shape[1] <= 40 and sampling.flip(rng)
        return Sample((random_int8(rng, shape), random_int8(rng, (shape[1], 256) if by_channel else (256,))), {})


_lookup_int8 = register(LookupInt8())


def lookup_int8(x: Tensor, table: Tensor) -> Tensor:
    """Return table[x + 128] for 8-bit integers `x` and a table of 256 numbers, or of 256 for each channel."""
    return _lookup_int8(x, table).output
