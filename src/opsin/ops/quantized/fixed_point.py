"""Integer arithmetic that maps sums of products to the scale of a result.

A sum of products `acc` has the scale s = (scale of x) · (scale of w). The result with the scale t is

    y = clamp(zero + mulh(acc + bias, multiplier), low, high),    multiplier = round(2³² · s / t)

where mulh(a, b) = ⌊a · b / 2³²⌋, the high half of the product, is one instruction on most processors. The bias holds
what is constant: the layer's bias, the part of the zero points, and half a step of the result, which makes rounding
down round to the nearest. `low` and `high` are also what ReLU and clipping do.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ops.registry import Array

LOW, HIGH = -128, 127
"""The range of 8-bit integers."""


def mulh(a: Array, b: Array | int) -> Array:
    """Return ⌊a · b / 2³²⌋ of 32-bit integers, as int32."""
    high: Array = (a.astype(np.int64) * np.asarray(b, np.int64)) >> 32
    return high.astype(np.int32)


def requantized(acc: Array, bias: Array | int, multiplier: Array | int, zero: int, low: int, high: int) -> Array:
    """Return clamp(zero + mulh(acc + bias, multiplier), low, high) as int8; sums wrap around in 32 bits."""
    total = (acc.astype(np.int64) + np.asarray(bias, np.int64)).astype(np.int32)
    return np.asarray(np.clip(zero + mulh(total, multiplier), low, high), np.int8)


def need_bytes(name: str, **numbers: int) -> None:
    """Raise `ShapeError` unless zero points and bounds are 8-bit integers."""
    for what, number in numbers.items():
        if not LOW <= number <= HIGH:
            raise ShapeError(f"{name}: {what} must be from -128 to 127, not {number}")


def need_bounds(name: str, low: int, high: int) -> None:
    """Raise `ShapeError` unless `low` and `high` are bounds of 8-bit integers in order."""
    need_bytes(name, low=low, high=high)
    if low > high:
        raise ShapeError(f"{name}: low {low} is above high {high}")


def need_range(name: str, limits: Mapping[str, tuple[int, int]], **numbers: int) -> None:
    """Raise `ShapeError` unless each number is within its limits, both included."""
    for what, number in numbers.items():
        smallest, largest = limits[what]
        if not smallest <= number <= largest:
            raise ShapeError(f"{name}: {what} must be from {smallest:,} to {largest:,}, not {number:,}")
