"""bfloat16 in NumPy: the meaning of the narrow type of the kernel IR.

A bfloat16 is the upper half of a float32: sign, 8 bits of exponent, 7 of fraction. NumPy has no such type, so arrays
of them are uint16, and pairs (`PAIR`) are uint32 with the first number in the lower half.

Processors with AVX512-BF16 read and return zero for numbers below the smallest normal one. The meaning is therefore
defined that way, and holds on every processor: `narrow` never returns a subnormal number.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)
"""The smallest positive normal number, of float32 and of bfloat16."""


def narrow(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Return float32 `values` rounded to the nearest bfloat16, to even on a tie.

    Subnormal numbers become zeros of the same sign; a NaN stays one.
    """
    bits = flushed(values).view(np.uint32)
    rounded_bits = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    quiet_bits = (bits >> np.uint32(16)) | np.uint32(0x40)
    return np.where(np.isnan(values), quiet_bits, rounded_bits).astype(np.uint16)


def widen(values: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return bfloat16 `values` as float32, which holds each exactly."""
    return (np.asarray(values, np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)


def rounded(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return float32 `values` rounded to bfloat16, as float32."""
    return widen(narrow(values))


def flushed(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return float32 `values` with subnormal numbers replaced by zeros of the same sign."""
    values = np.asarray(values, np.float32)
    return np.where(np.abs(values) < SMALLEST_NORMAL, np.copysign(np.float32(0), values), values)


def dot(a: NDArray[np.uint32], b: NDArray[np.uint32], c: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `c` plus the products of both numbers of the pairs `a` and `b`: the upper ones first.

    Each product is exact and each addition is rounded; subnormal operands and results are zeros.
    """
    total = c
    for shift in (16, 0):
        left, right = (
            flushed(widen(((pairs >> np.uint32(shift)) & np.uint32(0xFFFF)).astype(np.uint16))) for pairs in (a, b)
        )
        product = left.astype(np.float64) * right.astype(np.float64)
        total = flushed((product + flushed(total).astype(np.float64)).astype(np.float32))
    return total


def tile_dot(sums: NDArray[np.float32], left: NDArray[np.uint32], right: NDArray[np.uint32]) -> NDArray[np.float32]:
    """Return `sums` (M × N) plus the product of `left` (M × K pairs) and `right` (K × N pairs).

    The products of the lower numbers and those of the upper ones are summed separately, in the order of K. Then both
    sums are added to each other, and that to `sums`, as the instruction TDPBF16PS does.
    """
    totals = []
    for shift in (0, 16):
        a, b = (
            flushed(widen(((tile >> np.uint32(shift)) & np.uint32(0xFFFF)).astype(np.uint16))) for tile in (left, right)
        )
        total = np.zeros(sums.shape, np.float32)
        for k in range(a.shape[1]):
            product = a[:, k : k + 1].astype(np.float64) * b[k : k + 1].astype(np.float64)
            total = flushed((product + total.astype(np.float64)).astype(np.float32))
        totals.append(total)
    return flushed(flushed(sums) + flushed(totals[0] + totals[1]))
