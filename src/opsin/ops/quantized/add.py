"""Addition of 8-bit integers with different scales."""

from __future__ import annotations

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import Tensor, Type
from opsin.ops import sampling
from opsin.ops.quantized.fixed_point import need_bounds, need_range
from opsin.ops.quantized.sampling import random_bounds, random_int8
from opsin.ops.registry import Array, Primitive, Sample, need_int8, register

LIMITS = {
    "a_factor": (-(2**15), 2**15 - 1), "b_factor": (-(2**15), 2**15 - 1), "shift": (0, 22),
    "bias": (-(2**30), 2**30),
}  # fmt: skip
"""Sums stay within 32 bits, and factors within 16, so that processors can multiply pairs."""


class AddInt8(Primitive):
    """a, b of one shape → y = clamp(⌊(a · a_factor + b · b_factor + bias) / 2^shift⌋, low, high), 8-bit integers.

    The factors are the ratios of the scales, times 2^shift. The bias holds the zero points and the rounding.
    """

    name = "add_int8"

    def infer(
        self, a: Type, b: Type, *, a_factor: int, b_factor: int, bias: int, shift: int, low: int, high: int
    ) -> Type:
        need_int8(self.name, a, b)
        if a != b:
            raise ShapeError(f"{self.name}: {a} and {b} differ in shape")
        need_range(self.name, LIMITS, a_factor=a_factor, b_factor=b_factor, bias=bias, shift=shift)
        need_bounds(self.name, low, high)
        return a

    def evaluate(
        self, a: Array, b: Array, *, a_factor: int, b_factor: int, bias: int, shift: int, low: int, high: int
    ) -> Array:
        total = a.astype(np.int32) * np.int32(a_factor) + b.astype(np.int32) * np.int32(b_factor) + np.int32(bias)
        return np.asarray(np.clip(total >> shift, low, high), np.int8)

    def sample(self, rng: np.random.Generator) -> Sample:
        shape, shift = sampling.shape(rng), sampling.between(rng, 8, 16)
        a_factor, b_factor = (min(int(2**shift * rng.uniform(0.05, 2.0)), 2**15 - 1) for _ in range(2))
        bounds = random_bounds(rng)
        bias = bounds.pop("zero") * 2**shift + sampling.between(rng, -1000, 1000) + 2**shift // 2
        attrs = {"a_factor": a_factor, "b_factor": b_factor, "bias": bias, "shift": shift, **bounds}
        return Sample((random_int8(rng, shape), random_int8(rng, shape)), attrs)


_add_int8 = register(AddInt8())


def add_int8(
    a: Tensor, b: Tensor, a_factor: int, b_factor: int, bias: int, shift: int, low: int = -128, high: int = 127
) -> Tensor:
    """Return the sum of 8-bit integers of different scales; see `AddInt8` for the arguments."""
    return _add_int8(a, b, a_factor=a_factor, b_factor=b_factor, bias=bias, shift=shift, low=low, high=high).output
