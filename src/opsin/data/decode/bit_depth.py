"""Images of more than eight bits a channel: their values, the range that becomes black to white, and that step."""

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
"""White, as fractions usually have it."""

MIN_RANGE_USED = 0.25
"""Fractions fill this share of a usual range, or the range is their own."""

OVERSHOOT = 0.01
"""The share by which fractions may exceed a usual range, as resampling does."""

MAX_NEGATIVE_SHARE = 0.05
"""Values below 0 by no more than this share of the largest are taken for a mark or for noise, not for shades."""

MAX_DARK_SHARE = 1 / 12
"""Where all values lie in this share of a range, they are hardly meant on its scale."""

BLOCK_VALUES = 2**22
"""Values that are computed with at a time."""


@dataclass(frozen=True, eq=False)
class Samples:
    """`values` H×W×C (1 or 3 channels) of any real type; `alpha` H×W: 0 is transparent, `opaque` is not.

    `premultiplied`: the values are those of the channel times alpha.
    """

    values: NDArray[Any]
    alpha: NDArray[Any] | None = None
    premultiplied: bool = False

    @property
    def opaque(self) -> float:
        assert self.alpha is not None
        return float(np.iinfo(self.alpha.dtype).max) if self.alpha.dtype.kind in "iu" else 1.0


def value_range(values: NDArray[Any]) -> PixelRange:
    """The least and the largest value, (0, 0) where none is a finite number."""
    if not values.size:
        return 0.0, 0.0
    with np.errstate(all="ignore"):
        low, high = float(values.min()), float(values.max())
        if isfinite(low) and isfinite(high):
            return low, high
        finite = values[np.isfinite(values)]
        return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def infer_range(low: float, high: float, whole: bool) -> PixelRange:
    """The range that is meant by images whose values go from `low` to `high`.

    From 0 on, whole numbers fill 1 bit or an even number of bits (255, 1,023, 4,095, …, 65,535), fractions go to 1,
    255, 4,095 or 65,535, or else to the largest there is. Values that are negative on purpose go from -1 to 1, or from
    the least to the largest.
    """
    if low < -MAX_NEGATIVE_SHARE * max(high, 0.0):
        unit = not whole and max(-low, high) <= 1 + OVERSHOOT and max(-low, high) >= MIN_RANGE_USED
        return (-1.0, 1.0) if unit else (low, high if high > low else low + 1)
    if high <= 0:
        return 0.0, 1.0
    if whole:
        bits = int(high).bit_length()
        return 0.0, float(2 ** (bits + bits % 2 if bits > 1 else 1) - 1)
    usual = next((white for white in USUAL_WHITES if high <= (1 + OVERSHOOT) * white), high)
    return 0.0, usual if high >= MIN_RANGE_USED * usual else high


def is_dark(values: PixelRange, chosen: PixelRange) -> bool:
    """Whether values that differ lie all so near to black that hardly anything is to be seen."""
    low, high = chosen
    return values[0] < values[1] <= low + MAX_DARK_SHARE * (high - low)


def single_image_range(low: float, high: float, kind: str) -> PixelRange:
    """The range of one image alone, of which nothing is known but its values."""
    if kind.startswith("uint"):
        return 0.0, float(np.iinfo(kind).max)
    return 0.0, 1.0 if high <= 1 and kind.startswith("float") else 255.0 if high <= 255 else 65535.0


def check_range(given: Sequence[float] | None) -> PixelRange | None:
    """The range that somebody asks for; `UsageError` where it is none."""
    if given is None:
        return None
    try:
        low, high = (float(value) for value in given)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not (isfinite(low) and isfinite(high) and low < high):
        raise UsageError(f"the pixel range is two numbers, black and white, such as 0 4095, not {given!r}")
    return low, high


def to_uint8(values: NDArray[Any], chosen: PixelRange, down: bool = False) -> NDArray[np.uint8]:
    """Black to white as 0 to 255, to the nearest step or `down`; what lies outside becomes black or white, too.

    Whole numbers of so many bits give their upper eight. What is no number becomes black.
    """
    low, high = chosen
    bits = int(high).bit_length() if high < 2**63 else 0
    upper = values.dtype.kind == "u" and low == 0 and bits >= 8 and high == 2**bits - 1
    made = np.empty(values.shape, np.uint8)
    flat, target = values.reshape(-1), made.reshape(-1)
    for first in range(0, len(flat), BLOCK_VALUES):
        part = flat[first : first + BLOCK_VALUES]
        if upper:
            within = np.minimum(part, int(min(high, np.iinfo(part.dtype).max)))
            target[first : first + BLOCK_VALUES] = within >> (bits - 8)
        else:
            scaled = _scaled(part, chosen)
            target[first : first + BLOCK_VALUES] = scaled if down else np.rint(scaled)
    return made


def _scaled(values: NDArray[Any], chosen: PixelRange) -> NDArray[np.float64]:
    """From 0 to 255."""
    low, high = chosen
    with np.errstate(all="ignore"):  # numbers of no use are in files, too
        made = values.astype(np.float64)
        np.nan_to_num(made, copy=False, nan=low, posinf=high, neginf=low)
        np.clip(made, low, high, out=made)
        made -= low
        made /= high - low
        made *= 255
        return np.nan_to_num(made, copy=False).clip(0, 255, out=made)


def to_image(samples: Samples, chosen: PixelRange, down: bool = False) -> Image.Image:
    """Grey or RGB of eight bits; what is transparent becomes white."""
    values, alpha = samples.values, samples.alpha
    made = to_uint8(values, chosen, down)
    if alpha is not None:
        rows = max(1, BLOCK_VALUES // max(1, values[:1].size))
        for first in range(0, len(values), rows):
            part = slice(first, first + rows)
            cover = np.nan_to_num(alpha[part].astype(np.float64) / samples.opaque).clip(0, 1)[..., None]
            shades = _scaled(values[part], chosen) if samples.premultiplied else made[part] * cover
            made[part] = np.rint((shades + 255 * (1 - cover)).clip(0, 255))
    return Image.fromarray(made[..., 0] if made.shape[2] == 1 else made)
