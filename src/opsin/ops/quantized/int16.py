"""16-bit integers, for results whose range is too wide for 8 bits.

A 16-bit integer is computed as a 32-bit one, and stored as two 8-bit integers, q = 256 · high + low. Convolutions of
8-bit integers add up each of them; 256 · (sum of high) + (sum of low) is the sum of q.
"""

from __future__ import annotations

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import INT, INT8, Tensor, Type
from opsin.ops import sampling
from opsin.ops.broadcast import broadcast_shapes
from opsin.ops.quantized.fixed_point import HIGH, LOW, mulh, need_range
from opsin.ops.quantized.sampling import random_int8
from opsin.ops.registry import Array, Primitive, Sample, register

LARGEST16 = 256 * HIGH + HIGH
"""16-bit integers are from -LARGEST16 to LARGEST16."""


class Rescale(Primitive):
    """x, 32-bit integers, multiplier that broadcasts to x → y = clamp(zero + mulh(x, multiplier), low, high).

    The result has 8 bits if `dtype` is "int8", and 16 bits in a 32-bit number if it is "int" (see `fixed_point`).
    """

    name = "rescale"

    def infer(self, x: Type, multiplier: Type, *, zero: int, low: int, high: int, dtype: str) -> Type:
        _need_int(self.name, x, multiplier)
        if broadcast_shapes(self.name, x.shape, multiplier.shape) != x.shape:
            raise ShapeError(f"{self.name}: the multiplier {multiplier} does not broadcast to {x}")
        limits = (LOW, HIGH) if dtype == INT8 else (-LARGEST16, LARGEST16)
        need_range(self.name, dict.fromkeys(("zero", "low", "high"), limits), zero=zero, low=low, high=high)
        return Type(x.shape, dtype)

    def evaluate(self, x: Array, multiplier: Array, *, zero: int, low: int, high: int, dtype: str) -> Array:
        return np.asarray(np.clip(zero + mulh(x, multiplier), low, high), np.int8 if dtype == INT8 else np.int32)

    def sample(self, rng: np.random.Generator) -> Sample:
        shape, dtype = sampling.shape(rng), INT8 if sampling.flip(rng) else INT
        by_channel = tuple(size if axis == 1 else 1 for axis, size in enumerate(shape))
        multiplier = sampling.whole(rng, by_channel if sampling.flip(rng) else (), 2**8, 2**24)
        low, high = (LOW, HIGH) if dtype == INT8 else (-LARGEST16, LARGEST16)
        zero = sampling.between(rng, low, high)
        attrs = {"zero": zero, "low": zero if sampling.flip(rng) else low, "high": high, "dtype": dtype}
        return Sample((sampling.whole(rng, shape, -(2**30), 2**30), multiplier), attrs)


class _Byte(Primitive):
    """q, 16-bit integers in 32-bit numbers → 8-bit integers."""

    def infer(self, q: Type) -> Type:
        _need_int(self.name, q)
        return Type(q.shape, INT8)

    def sample(self, rng: np.random.Generator) -> Sample:
        return Sample((sampling.whole(rng, sampling.shape(rng), -LARGEST16, LARGEST16),), {})


class HighByte(_Byte):
    """q, 16-bit integers in 32-bit numbers → ⌊(q + 128) / 256⌋, 8-bit integers."""

    name = "high_byte"

    def evaluate(self, q: Array) -> Array:
        return ((q + 128) >> 8).astype(np.int8)


class LowByte(_Byte):
    """q, 16-bit integers in 32-bit numbers → q - 256 · ⌊(q + 128) / 256⌋, 8-bit integers."""

    name = "low_byte"

    def evaluate(self, q: Array) -> Array:
        return (((q + 128) & 255) - 128).astype(np.int8)


class JoinBytes(Primitive):
    """high, low of one shape, 8-bit integers or sums of them → 256 · high + low, 32-bit integers that wrap around."""

    name = "join_bytes"

    def infer(self, high: Type, low: Type) -> Type:
        if high != low or high.dtype not in (INT, INT8):
            raise ShapeError(f"{self.name}: expected two arrays of whole numbers of one shape, got {high} and {low}")
        return Type(high.shape, INT)

    def evaluate(self, high: Array, low: Array) -> Array:
        return (high.astype(np.int64) * 256 + low).astype(np.int32)

    def sample(self, rng: np.random.Generator) -> Sample:
        shape = sampling.shape(rng)
        if sampling.flip(rng):
            return Sample((random_int8(rng, shape), random_int8(rng, shape)), {})
        return Sample(tuple(sampling.whole(rng, shape, -(2**22), 2**22) for _ in range(2)), {})


def _need_int(name: str, *types: Type) -> None:
    for kind in types:
        if kind.dtype != INT:
            raise ShapeError(f"{name}: expected 32-bit integers, got {kind}")


_rescale = register(Rescale())
_high_byte, _low_byte, _join_bytes = register(HighByte()), register(LowByte()), register(JoinBytes())


def rescale(x: Tensor, multiplier: Tensor, *, zero: int, low: int, high: int, dtype: str = INT) -> Tensor:
    """Return 32-bit sums scaled to 8-bit or 16-bit integers; see `Rescale` for the arguments."""
    return _rescale(x, multiplier, zero=zero, low=low, high=high, dtype=dtype).output


def split_bytes(q: Tensor) -> tuple[Tensor, Tensor]:
    """Return the high and the low 8-bit integers of 16-bit integers: q = 256 · high + low."""
    return _high_byte(q).output, _low_byte(q).output


def join_bytes(high: Tensor, low: Tensor) -> Tensor:
    """Return 256 · high + low as 32-bit integers."""
    return _join_bytes(high, low).output
