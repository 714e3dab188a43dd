"""Float32 arithmetic as the engine does it: every result rounded once, denormals flushed to zero.

Everything is computed in float64, whose 53 bits make the second rounding harmless: products of two float32 are exact,
and sums, quotients and roots of float32 are far enough from the middle of two float32 (Figueroa, "When is double
rounding innocuous?", 1995). Only a fused multiply-add can land there. Its sum is therefore rounded to odd first
(Boldo & Melquiond, "Emulation of FMA and correctly rounded sums", 2008).

Results are flushed as x86 does it, after rounding. Arm does it before; only numbers within 2⁻¹⁵⁰ of 2⁻¹²⁶ differ.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

MIN_NORMAL = 2.0**-126
MIN_ROUNDED = MIN_NORMAL - 2.0**-151
"""The smallest number that rounds to `MIN_NORMAL` with 24 bits."""


def rounded(x: Doubles) -> Floats:
    """Return `x` rounded to float32; what is below its smallest normal number becomes a zero of the same sign."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.asarray(np.where(np.abs(x) < MIN_ROUNDED, np.copysign(0.0, x), x), np.float64).astype(np.float32)


def operand(x: Any) -> Doubles:
    """Return float32 values as the processor reads them: denormal ones are zero."""
    wide = np.asarray(x, np.float32).astype(np.float64)
    return np.asarray(np.where(np.abs(wide) < MIN_NORMAL, np.copysign(0.0, wide), wide))


def add(a: Any, b: Any) -> Floats:
    return rounded(operand(a) + operand(b))


def multiply(a: Any, b: Any) -> Floats:
    return rounded(operand(a) * operand(b))


def divide(a: Any, b: Any) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return rounded(operand(a) / operand(b))


def sqrt(x: Any) -> Floats:
    with np.errstate(invalid="ignore"):
        return rounded(np.sqrt(operand(x)))


def fma(a: Any, b: Any, c: Any) -> Floats:
    """Return a · b + c, rounded once."""
    return rounded(_sum_to_odd(operand(a) * operand(b), operand(c)))


def multiply_add(a: Any, b: Any, c: Any, fused: bool) -> Floats:
    """Return a · b + c; unless `fused`, the product is rounded first."""
    return fma(a, b, c) if fused else add(multiply(a, b), c)


def exact_products(a: Any, b: Any, fused: bool) -> Doubles:
    """Return a · b for `add_product`: exact, or rounded if multiplication and addition are not `fused`."""
    return operand(a) * operand(b) if fused else multiply(a, b).astype(np.float64)


def add_product(product: Doubles, c: Floats) -> Floats:
    """Return `product` + c, rounded once, for a result c of this module."""
    return rounded(_sum_to_odd(product, c.astype(np.float64)))


def _sum_to_odd(a: Doubles, b: Doubles) -> Doubles:
    """Return a + b; if it is not exact, the one of the two adjacent float64 whose last bit is set."""
    total = np.asarray(a + b, np.float64)
    with np.errstate(invalid="ignore"):
        b_share = total - a
        error = (a - (total - b_share)) + (b - b_share)  # two_sum (Knuth, TAOCP 2, section 4.2.2)
    bits = total.view(np.int64)
    is_rounded_to_even = np.isfinite(total) & (error != 0) & (bits & 1 == 0)
    step = np.where((error > 0) == (total > 0), 1, -1)
    return np.asarray(np.where(is_rounded_to_even, bits + step, bits)).view(np.float64)
