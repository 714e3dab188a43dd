"""Real numbers to 8-bit integers, and back."""

from __future__ import annotations

from math import isfinite

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import FLOAT, INT8, Tensor, Type
from opsin.ops import sampling
from opsin.ops.quantized.fixed_point import HIGH, LOW, need_bytes
from opsin.ops.quantized.sampling import random_int8
from opsin.ops.registry import Array, Primitive, Sample, need_float, need_int8, register


class Quantize(Primitive):
    """x, real numbers → q = clamp(round(x · (1 / scale)) + zero, -128, 127), 8-bit integers of the same shape.

    The reciprocal of the scale and the product are rounded to float32; ties round to the nearest even number.
    """

    name = "quantize"

    def infer(self, x: Type, *, scale: float, zero: int) -> Type:
        need_float(self.name, x)
        _need_scale(self.name, scale)
        need_bytes(self.name, zero=zero)
        return Type(x.shape, INT8)

    def evaluate(self, x: Array, *, scale: float, zero: int) -> Array:
        steps = np.rint(x.astype(np.float32) * np.float32(1 / scale))
        return np.asarray(np.clip(steps + np.float32(zero), LOW, HIGH), np.int8)

    def sample(self, rng: np.random.Generator) -> Sample:
        x = sampling.normal(rng, sampling.shape(rng)).astype(np.float32).astype(np.float64)
        return Sample((x,), {"scale": float(rng.uniform(0.003, 0.05)), "zero": sampling.between(rng, LOW, HIGH)})


class Dequantize(Primitive):
    """q, 8-bit integers → x = (q - zero) · scale, real numbers of the same shape; the scale is rounded to float32."""

    name = "dequantize"

    def infer(self, q: Type, *, scale: float, zero: int) -> Type:
        need_int8(self.name, q)
        _need_scale(self.name, scale)
        need_bytes(self.name, zero=zero)
        return Type(q.shape, FLOAT)

    def evaluate(self, q: Array, *, scale: float, zero: int) -> Array:
        return ((q.astype(np.float32) - np.float32(zero)) * np.float32(scale)).astype(np.float64)

    def sample(self, rng: np.random.Generator) -> Sample:
        q = random_int8(rng, sampling.shape(rng))
        return Sample((q,), {"scale": float(rng.uniform(0.003, 0.05)), "zero": sampling.between(rng, LOW, HIGH)})


def _need_scale(name: str, scale: float) -> None:
    if not (isfinite(scale) and 1e-30 < scale < 1e30):
        raise ShapeError(f"{name}: the scale must be a number above 0, not {scale:g}")


_quantize = register(Quantize())
_dequantize = register(Dequantize())


def quantize(x: Tensor, scale: float, zero: int) -> Tensor:
    """Return the real numbers `x` in steps of `scale`: 8-bit integers, in which `zero` stands for 0."""
    return _quantize(x, scale=scale, zero=zero).output


def dequantize(q: Tensor, scale: float, zero: int) -> Tensor:
    """Return the real numbers for which the 8-bit integers `q` stand: scale · (q - zero)."""
    return _dequantize(q, scale=scale, zero=zero).output
