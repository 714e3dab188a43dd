"""Multiplication of 8-bit integers with different scales."""

from __future__ import annotations

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import Tensor, Type
from opsin.ops import sampling
from opsin.ops.quantized.fixed_point import need_bounds, need_bytes, need_range, requantized
from opsin.ops.quantized.sampling import random_bounds, random_int8
from opsin.ops.registry import Array, Primitive, Sample, need_int8, register

LIMITS = {"bias": (-(2**30), 2**30), "multiplier": (0, 2**31 - 1)}


class MultiplyInt8(Primitive):
    """a N × C × H × W, b of the same shape or N × C × 1 × 1 → 8-bit integers of the shape of a.

    y = clamp(zero + mulh((a - a_zero) · (b - b_zero) + bias, multiplier), low, high), as `fixed_point` describes. A
    smaller b is repeated over the image, as the gate of squeeze-and-excitation is.
    """

    name = "multiply_int8"

    def infer(
        self, a: Type, b: Type, *, a_zero: int, b_zero: int, bias: int, multiplier: int, zero: int, low: int, high: int
    ) -> Type:
        need_int8(self.name, a, b)
        if b != a and not (len(a.shape) == 4 and b.shape == (*a.shape[:2], 1, 1)):
            raise ShapeError(f"{self.name}: {b} must have the shape of {a}, or 1 × 1 pixels")
        need_bytes(self.name, a_zero=a_zero, b_zero=b_zero, zero=zero)
        need_range(self.name, LIMITS, bias=bias, multiplier=multiplier)
        need_bounds(self.name, low, high)
        return a

    def evaluate(
        self,
        a: Array,
        b: Array,
        *,
        a_zero: int,
        b_zero: int,
        bias: int,
        multiplier: int,
        zero: int,
        low: int,
        high: int,
    ) -> Array:
        products = (a.astype(np.int32) - a_zero) * (b.astype(np.int32) - b_zero)
        return requantized(products, bias, multiplier, zero, low, high)

    def sample(self, rng: np.random.Generator) -> Sample:
        shape = sampling.shape(rng)
        if sampling.flip(rng):
            shape = (2, sampling.pick(rng, sampling.CHANNELS), *(sampling.between(rng, 1, 6) for _ in range(2)))
        factors = (*shape[:2], 1, 1) if len(shape) == 4 and sampling.flip(rng) else shape
        zeros = {name: sampling.between(rng, -128, 127) for name in ("a_zero", "b_zero")}
        scaling = {"multiplier": int(2**32 / rng.uniform(40, 400)), "bias": sampling.between(rng, -200, 200)}
        return Sample((random_int8(rng, shape), random_int8(rng, factors)), zeros | scaling | random_bounds(rng))


_multiply_int8 = register(MultiplyInt8())


def multiply_int8(
    a: Tensor,
    b: Tensor,
    a_zero: int,
    b_zero: int,
    bias: int,
    multiplier: int,
    zero: int,
    low: int = -128,
    high: int = 127,
) -> Tensor:
    """Return the product of 8-bit integers of different scales; see `MultiplyInt8` for the arguments."""
    return _multiply_int8(
        a, b, a_zero=a_zero, b_zero=b_zero, bias=bias, multiplier=multiplier, zero=zero, low=low, high=high
    ).output
