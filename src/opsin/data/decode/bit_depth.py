"""Images with more than eight bits per channel: infer the range from black to white, and convert to bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opsin.base.errors import UsageError

PixelRange: TypeAlias = tuple[float, float]
"""The values that become black and white."""

USUAL_WHITES = (1.0, 255.0, 4095.0, 65535.0)
"""Values that usually stand for white in floating-point images."""

MIN_RANGE_USED = 0.25
"""Share of a usual range that floating-point values must fill; otherwise the largest value is white."""

OVERSHOOT = 0.01
"""Share by which floating-point values may exceed a usual range, for example after resampling."""

MAX_NEGATIVE_SHARE = 0.05
"""Negative values down to this share of the largest value count as markers or noise, not as dark shades."""

MAX_DARK_SHARE = 1 / 12
"""Values that are all below this share of a range probably use another scale."""

BLOCK_VALUES = 2**22
"""The number of values per block of the conversion."""


@dataclass(frozen=True, eq=False)
class PixelValues:
    """`values` H×W×C (1 or 3 channels) of any real type; `alpha` H×W from 0 (transparent) to `opaque`.

    `premultiplied`: the values have been multiplied by alpha.
    """

    values: NDArray[Any]
    alpha: NDArray[Any] | None = None
    premultiplied: bool = False

    @property
    def opaque(self) -> float:
        assert self.alpha is not None
        return float(np.iinfo(self.alpha.dtype).max) if self.alpha.dtype.kind in "iu" else 1.0


def value_range(values: NDArray[Any]) -> PixelRange:
    """Return the smallest and the largest finite value, or (0, 0) if there is none."""
    if not values.size:
        return 0.0, 0.0
    with np.errstate(all="ignore"):
        low, high = float(values.min()), float(values.max())
        if isfinite(low) and isfinite(high):
            return low, high
        finite = values[np.isfinite(values)]
        return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def infer_range(low: float, high: float, integers: bool) -> PixelRange:
    """Return the probable range of images whose values go from `low` to `high`.

    Non-negative integers use 1 bit or an even number of bits (255, 1,023, 4,095, …, 65,535). Non-negative fractions go
    to 1, 255, 4,095 or 65,535, or else to their largest value. With negative values, the range is -1 to 1 or that of
    the values.
    """
    if low < -MAX_NEGATIVE_SHARE * max(high, 0.0):
        unit = not integers and max(-low, high) <= 1 + OVERSHOOT and max(-low, high) >= MIN_RANGE_USED
        return (-1.0, 1.0) if unit else (low, high if high > low else low + 1)
    if high <= 0:
        return 0.0, 1.0
    if integers:
        bits = int(high).bit_length()
        return 0.0, float(2 ** (bits + bits % 2 if bits > 1 else 1) - 1)
    white_level = next((white for white in USUAL_WHITES if high <= (1 + OVERSHOOT) * white), high)
    return 0.0, white_level if high >= MIN_RANGE_USED * white_level else high


def is_dark(values: PixelRange, pixel_range: PixelRange) -> bool:
    """Return whether values that differ are all so close to black that almost nothing is visible."""
    low, high = pixel_range
    return values[0] < values[1] <= low + MAX_DARK_SHARE * (high - low)


def single_image_range(low: float, high: float, kind: str) -> PixelRange:
    """Return the range of a single image, of which only the values are known."""
    if kind.startswith("uint"):
        return 0.0, float(np.iinfo(kind).max)
    return 0.0, 1.0 if high <= 1 and kind.startswith("float") else 255.0 if high <= 255 else 65535.0


def check_range(pixel_range: Sequence[float] | None) -> PixelRange | None:
    """Return a range given by the user. Raise `UsageError` if it is invalid."""
    if pixel_range is None:
        return None
    try:
        low, high = (float(value) for value in pixel_range)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not (isfinite(low) and isfinite(high) and low < high):
        raise UsageError(f"the pixel range is two numbers, black and white, such as 0 4095, not {pixel_range!r}")
    return low, high


def to_uint8(values: NDArray[Any], pixel_range: PixelRange, down: bool = False) -> NDArray[np.uint8]:
    """Map a range to 0 … 255, rounding to nearest or `down`; values outside the range are clipped.

    Unsigned integers that use all values of a number of bits keep their upper eight bits. NaN becomes black.
    """
    low, high = pixel_range
    bits = int(high).bit_length() if high < 2**63 else 0
    keeps_high_bits = values.dtype.kind == "u" and low == 0 and bits >= 8 and high == 2**bits - 1
    result = np.empty(values.shape, np.uint8)
    source, target = values.reshape(-1), result.reshape(-1)
    for first in range(0, len(source), BLOCK_VALUES):
        chunk = source[first : first + BLOCK_VALUES]
        if keeps_high_bits:
            limited_values = np.minimum(chunk, int(min(high, np.iinfo(chunk.dtype).max)))
            target[first : first + BLOCK_VALUES] = limited_values >> (bits - 8)
        else:
            levels = _scale(chunk, pixel_range)
            target[first : first + BLOCK_VALUES] = levels if down else np.rint(levels)
    return result


def _scale(values: NDArray[Any], pixel_range: PixelRange) -> NDArray[np.float64]:
    """Map a range to 0 … 255 without rounding."""
    low, high = pixel_range
    with np.errstate(all="ignore"):  # files may hold NaN and infinity
        result = values.astype(np.float64)
        np.nan_to_num(result, copy=False, nan=low, posinf=high, neginf=low)
        np.clip(result, low, high, out=result)
        result -= low
        result /= high - low
        result *= 255
        return np.nan_to_num(result, copy=False).clip(0, 255, out=result)


def to_image(samples: PixelValues, pixel_range: PixelRange, down: bool = False) -> Image.Image:
    """Return a grey or RGB image with eight bits per channel; transparent pixels become white."""
    values, alpha = samples.values, samples.alpha
    result = to_uint8(values, pixel_range, down)
    if alpha is not None:
        rows = max(1, BLOCK_VALUES // max(1, values[:1].size))
        for first in range(0, len(values), rows):
            chunk = slice(first, first + rows)
            cover = np.nan_to_num(alpha[chunk].astype(np.float64) / samples.opaque).clip(0, 1)[..., None]
            shades = _scale(values[chunk], pixel_range) if samples.premultiplied else result[chunk] * cover
            result[chunk] = np.rint((shades + 255 * (1 - cover)).clip(0, 255))
    return Image.fromarray(result[..., 0] if result.shape[2] == 1 else result)
