"""The whole numbers that scale sums and products to 8-bit integers (see `opsin.ops.quantized.fixed_point`).

Where a step of the result is an odd number n of steps of the sums, a sum is divided by n and rounded to the nearest
number, exactly: no whole number lies in the middle between two multiples of n. Floating-point numbers round such
quotients alike, so that other programs are bit-identical with the same scales.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log2

import numpy as np

from opsin.quantization.scales import Scale
from opsin.quantization.steps import Array

MAX_MULTIPLIER = 2**31 - 1
FACTOR_BITS, MAX_SHIFT = 15, 22
"""The factors of an addition have 16 bits with their sign, and sums stay within 32."""
SMALLEST_DIVISOR, LARGEST_DIVISOR = 15, 2**20
"""Steps are changed so that those of results are odd numbers of those of sums, if these numbers are in between."""


def smallest_step(unit: float) -> float:
    """Return the smallest step of a result for which the multiplier of numbers in steps of `unit` fits into 32 bits."""
    return 2.0**32 * unit / MAX_MULTIPLIER


def odd_divisors(ratios: Array) -> Array:
    """Return the nearest odd numbers; ratios below `SMALLEST_DIVISOR` are returned as they are."""
    odd = 2 * np.floor(np.minimum(ratios, LARGEST_DIVISOR) / 2) + 1
    return np.asarray(np.where(ratios < SMALLEST_DIVISOR, ratios, odd))


def scaling(ratios: Array, scale: Scale) -> tuple[Array, Array]:
    """Return multipliers and biases for least + mulh(sum + bias, multiplier) = zero + round(sum / ratio).

    The division is exact if a ratio is an odd number up to 4,095, but for errors of float32: what is negative is below
    the scale's least number, so that multipliers can be rounded up.
    """
    odd = odd_divisors(ratios)
    is_odd = (ratios >= SMALLEST_DIVISOR) & np.isclose(ratios, odd, rtol=1e-6, atol=0)
    multipliers = np.where(is_odd, np.ceil(2.0**32 / odd), np.rint(2.0**32 / ratios))
    multipliers = np.clip(multipliers, 1, MAX_MULTIPLIER)
    divisors = np.where(is_odd, odd, 2.0**32 / multipliers)
    halves = np.where(is_odd, (odd - 1) / 2, divisors / 2)
    return multipliers, np.rint(halves + (scale.zero - scale.least) * divisors)


def scaled_product(unit: float, scale: Scale) -> tuple[Scale, int, int]:
    """Return scale, bias and multiplier of a result, for whole numbers in steps of `unit`; see `scaling`.

    The scale is `scale`, or a coarser one if that is finer than the products.
    """
    scale = scale.at_least(smallest_step(unit))
    (multiplier,), (bias,) = scaling(np.array([scale.step / unit]), scale)
    return scale, int(bias), int(multiplier)


def factors_of(ratios: Sequence[float]) -> tuple[int, list[int]]:
    """Return a shift, and whole numbers that are nearly `ratios` times 2^shift."""
    shift = max(0, min(MAX_SHIFT, FACTOR_BITS - 1 - floor(log2(max(ratios)))))
    return shift, [min(round(ratio * 2**shift), 2**FACTOR_BITS - 1) for ratio in ratios]


def addition_factors(a: Scale, b: Scale, sign: int, scale: Scale) -> dict[str, int]:
    """Return the factors, the shift and the bias of the addition a + sign · b with the result in `scale`."""
    shift, (a_factor, b_factor) = factors_of((a.step / scale.step, b.step / scale.step))
    b_factor *= sign
    bias = scale.zero * 2**shift + 2**shift // 2 - a.zero * a_factor - b.zero * b_factor
    return {"a_factor": a_factor, "b_factor": b_factor, "bias": bias, "shift": shift}
