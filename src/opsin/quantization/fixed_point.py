"""The whole numbers that scale sums and products to 8-bit integers (see `opsin.ops.quantized.fixed_point`)."""

from __future__ import annotations

from math import floor, log2

from opsin.quantization.scales import Scale

MAX_MULTIPLIER = 2**31 - 1
FACTOR_BITS, MAX_SHIFT = 15, 22
"""The factors of an addition have 16 bits with their sign, and sums stay within 32."""


def smallest_step(unit: float) -> float:
    """Return the smallest step of a result for which the multiplier of numbers in steps of `unit` fits into 32 bits."""
    return 2.0**32 * unit / MAX_MULTIPLIER


def scaled_product(unit: float, scale: Scale) -> tuple[Scale, int, int]:
    """Return scale, bias and multiplier of a result, for whole numbers in steps of `unit`.

    The scale is `scale`, or a coarser one if that is finer than the products.
    """
    scale = scale.at_least(smallest_step(unit))
    multiplier = min(max(round(2.0**32 * unit / scale.step), 1), MAX_MULTIPLIER)
    return scale, min(round(2.0**31 / multiplier), 2**29), multiplier


def addition_factors(a: Scale, b: Scale, sign: int, scale: Scale) -> dict[str, int]:
    """Return the factors, the shift and the bias of the addition a + sign · b with the result in `scale`."""
    ratios = a.step / scale.step, b.step / scale.step
    shift = max(0, min(MAX_SHIFT, FACTOR_BITS - 1 - floor(log2(max(ratios)))))
    a_factor, b_factor = (min(round(ratio * 2**shift), 2**FACTOR_BITS - 1) for ratio in ratios)
    b_factor *= sign
    bias = scale.zero * 2**shift + 2**shift // 2 - a.zero * a_factor - b.zero * b_factor
    return {"a_factor": a_factor, "b_factor": b_factor, "bias": bias, "shift": shift}
