"""From arrays as people have them to images of bytes.

| X | holds |
|---|---|
| N×H×W | grey images |
| N×H×W×C, N×C×H×W | with 1 or 3 channels, last or first |
| N×F | flattened images of `image_shape`, or square grey ones; other features fill a square row by row |

Bytes (uint8) are used as they are. Of all other numbers the least and the largest in the training images become 0 and
255, those between are rounded to whole steps, and what lies outside later is taken for the nearest, unless it lies so
far outside, or is so small, that it must be meant on another scale: that is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isqrt, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.apps.estimator.problems import InputError, KindError
from opsin.ir import show

CHANNELS = (1, 3)
LEAST = 12
"""Smaller images are enlarged to this side or a little more, as networks of the zoo need room to pool."""

COLOUR_FROM = 8
"""From this side on, rows of 3 · side² numbers may be flattened colour images, and nobody knows in which order."""

ROWS = 1024
"""Images that are scaled at a time, so that the working copy stays small."""

FAR = 4.0
"""Numbers that lie outside the training range by more than so many times its width are on another scale."""

LARGE = 16.0
"""A range of whole numbers of at least this width is not that of fractions from 0 to 1."""

NOTICED = 0.1
"""The share of numbers outside the training range from which on that is worth a warning."""

SLIGHT = 0.02
"""The share of the training range by which numbers may lie outside it without notice."""

DARK = 1 / 12
"""Where all numbers lie in this share of the training range, hardly anything is to be seen."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class ImageLayout:
    """How one of the arrays of shape `sample` becomes an image.

    `laid` is how its numbers are laid out in order (H×W, H×W×C or C×H×W), `axis` where its channels are then (None:
    there is but one). `low` and `high` become 0 and 255 (None: bytes stay). `factor`: each pixel becomes so many by so
    many. `image`: the numbers are pixels, not features laid out in a square. `kind` is the type of the numbers, and
    `whole` says that none was a fraction.
    """

    sample: Shape
    laid: Shape
    axis: int | None
    low: float | None
    high: float | None
    factor: int
    image: bool
    kind: str = ""
    whole: bool = False

    @classmethod
    def of(cls, x: NDArray[Any], image_shape: Shape | None, enlarge: bool) -> ImageLayout:
        """For training images `x`; `enlarge` small ones. `InputError` where it cannot be told what they show."""
        laid, image = _laid(x.shape[1:], image_shape)
        axis = _channel_axis(laid)
        sides = [side for place, side in enumerate(laid) if place != axis]
        factor = ceil(LEAST / min(sides)) if enlarge else 1
        low, high, whole = None, None, x.dtype.kind in "bui"
        if x.dtype != np.uint8:
            low, high = float(np.min(x)), float(np.max(x))
            if not np.isfinite(high - low):
                raise _unfinite(np.array([low, high]))
            whole = whole or bool((x == np.rint(x)).all())
        return cls(x.shape[1:], laid, axis, low, high, factor, image, str(x.dtype), whole)

    def pixels(self, x: NDArray[Any], name: str) -> NDArray[np.uint8]:
        """uint8 N×C×H×W of `x`, which `checked` gave; `InputError` where it does not fit what `name` learnt from."""
        if x.shape[1:] != self.sample:
            if x.ndim == 2 and len(self.sample) == 1:
                raise InputError(
                    f"X has {x.shape[1]} features, but {name} is expecting {self.sample[0]} features as input"
                )
            raise InputError(f"X holds arrays of {show(x.shape[1:])}, but {name} learnt from {show(self.sample)}")
        self._check_scale(x)
        rows = np.zeros((len(x), prod(self.laid)), np.uint8)  # features may be fewer than there is room for
        for first in range(0, len(x), ROWS):
            part = x[first : first + ROWS].reshape(len(x[first : first + ROWS]), -1)
            rows[first : first + ROWS, : part.shape[1]] = self._bytes(part)
        made = rows.reshape(len(x), *self.laid)
        made = made[:, None] if self.axis is None else np.moveaxis(made, self.axis + 1, 1)
        if self.factor > 1:
            made = made.repeat(self.factor, axis=2).repeat(self.factor, axis=3)
        return np.ascontiguousarray(made)

    def _check_scale(self, x: NDArray[Any]) -> None:
        """`InputError` where the numbers must be meant on another scale than those of the training images."""
        if self.low is None or self.high is None or not len(x):
            return
        low, high, width = float(np.min(x)), float(np.max(x)), self.high - self.low
        if not width or not np.isfinite(high - low):
            return
        far = self.image and (high > self.high + FAR * width or low < self.low - FAR * width)
        narrow = x.dtype == bool or (x.dtype == np.uint8 and self.high > 4 * np.iinfo(np.uint8).max)
        fractions = x.dtype.kind == "f" and low >= 0 and high <= 1 and bool((x != np.rint(x)).any())
        if far or (width >= LARGE and (narrow or (self.whole and fractions))):
            raise InputError(
                f"X is {x.dtype} from {low:g} to {high:g}, but training was on {self.kind or 'numbers'} from "
                f"{self.low:g} to {self.high:g}; give numbers on the same scale: {self._advice(x, high)}"
            )

    def _advice(self, x: NDArray[Any], high: float) -> str:
        """How numbers on one usual scale come to that of the training."""
        usual = next((white for white in (1, 255, 4095, 65535) if high <= white), None)
        if x.dtype == np.uint8:
            usual = 255
        if self.image and self.low is not None and self.high is not None and usual and np.min(x) >= 0:
            mine = next((white for white in (1, 255, 4095, 65535) if self.high <= white), None)
            if self.low >= 0 and mine and mine != usual:
                return f"X / {usual}" if mine == 1 else f"X.astype(float) * ({mine} / {usual})"
        return "prepare X as the training images were prepared, or clip it to their range"

    def notice(self, x: NDArray[Any]) -> str:
        """What is odd about the scale of numbers that are accepted; "" where nothing is."""
        if not self.image or self.low is None or self.high is None or not self.high > self.low:
            return ""
        width = self.high - self.low
        slight = SLIGHT * width
        outside = float(((x < self.low - slight) | (x > self.high + slight)).mean())
        told = f"training was on numbers from {self.low:g} to {self.high:g}"
        if outside > NOTICED:
            return f"{outside:.0%} of the numbers in X lie outside the training range and are cut off; {told}"
        low, high = float(np.min(x)), float(np.max(x))
        if low < high <= self.low + DARK * width:
            return f"X is nearly black, with numbers from {low:g} to {high:g}; {told}"
        return ""

    def _bytes(self, part: NDArray[Any]) -> NDArray[np.uint8]:
        if self.low is None or self.high is None:
            if part.dtype != np.uint8:
                raise InputError(
                    f"X is {part.dtype}, but training was on bytes; give uint8 from 0 to 255 again{_bytewise(part)}"
                )
            return part
        exact = part.astype(np.float64)
        if not np.isfinite(exact).all():
            raise _unfinite(exact)
        scaled = (exact - self.low) * (255 / (self.high - self.low) if self.high > self.low else 0.0)
        made: NDArray[np.uint8] = np.rint(scaled.clip(0, 255)).astype(np.uint8)
        return made


def _bytewise(x: NDArray[Any]) -> str:
    """How these numbers probably become the bytes that they were, without wrapping round."""
    low, high = (float(np.min(x)), float(np.max(x))) if x.size else (0.0, 0.0)
    if not (low >= 0 and high <= 65535):
        return ""
    if high <= 1:
        return ", such as (255.0 * X).round().astype('uint8')"
    return ", such as X.astype('uint8')" if high <= 255 else ", such as (X / 257).round().astype('uint8')"


def checked(x: Any) -> NDArray[Any]:
    """`x` as an array of real numbers with a row for each image; `InputError` says what is wrong with it."""
    if hasattr(x, "toarray"):
        raise InputError("X is a sparse matrix, which is not supported; give X.toarray()")
    array = _numbers(x)
    if array.ndim < 2:
        raise InputError(
            f"X is {'one number' if array.ndim == 0 else f'a row of {len(array)} numbers'}. Reshape your data: "
            "X.reshape(1, -1) if it is one flattened image, X[None] if it is one image"
        )
    if not len(array):
        raise InputError("Found array with 0 sample(s): X holds no images, while a minimum of 1 is required.")
    if not array.size:
        raise InputError(
            f"Found array with 0 feature(s) (shape={array.shape}) while a minimum of 1 is required: "
            "the images in X have no pixels"
        )
    return array


def _numbers(x: Any) -> NDArray[Any]:
    """`x` as an array of bool, whole or real numbers."""
    try:
        array = np.asarray(x)
        if array.dtype.kind in "buif":
            return array
        if array.dtype.kind != "c":
            return array.astype(np.float64)
    except TypeError as error:
        raise KindError(f"X holds something that is no number ({error})") from None
    except ValueError as error:
        raise InputError(f"X is not an array of numbers, all images of one size ({error})") from None
    raise InputError("Complex data not supported: pixels are real numbers")


def _laid(sample: Shape, image_shape: Shape | None) -> tuple[Shape, bool]:
    """How a sample's numbers are laid out, and whether they are an image's."""
    if image_shape is not None:
        laid = _given(image_shape)
        if sample != laid and (len(sample) != 1 or sample[0] != prod(laid)):
            numbers = f"{sample[0]} features" if len(sample) == 1 else f"arrays of {show(sample)}"
            raise InputError(f"X has {numbers}, but image_shape={laid} needs {prod(laid)}; give the shape of an image")
        return laid, True
    if len(sample) > 1:
        return sample, True
    count = sample[0]
    side = isqrt(count)
    third = isqrt(count // 3)
    if third >= COLOUR_FROM and 3 * third**2 == count:
        raise InputError(
            f"X has {count} features, which may be colour images of {third} × {third}; say how they lie: "
            f"image_shape=({third}, {third}, 3) where red, green and blue of a pixel follow each other, "
            f"image_shape=(3, {third}, {third}) where all of red comes first"
        )
    return ((side, side), True) if side**2 == count else ((side + 1, side + 1), False)


def _given(image_shape: Any) -> Shape:
    try:
        laid = tuple(int(side) for side in image_shape)
    except (TypeError, ValueError):
        laid = ()
    if len(laid) not in (2, 3) or min(laid) < 1:
        raise InputError(
            f"image_shape must be (height, width), (height, width, channels) or (channels, height, width), "
            f"not {image_shape!r}"
        )
    return laid


def _channel_axis(laid: Shape) -> int | None:
    """Where the channels are; `InputError` where that cannot be."""
    if len(laid) == 2:
        return None
    if len(laid) == 3:
        first, last = (laid[axis] in CHANNELS for axis in (0, 2))
        if first != last:
            return 0 if first else 2
        if first:
            raise InputError(
                f"the images are {show(laid)}, in which the channels could be first or last; "
                "give grey ones without channels, and others larger"
            )
    raise InputError(
        f"X holds arrays of {show(laid)}; give images of height × width, with 1 or 3 channels before or after, "
        "or flattened ones"
    )


def _unfinite(numbers: NDArray[np.float64]) -> InputError:
    what = "NaN" if np.isnan(numbers).any() else "infinity (inf)"
    return InputError(f"X contains {what}; pixels are finite numbers: replace the others, or leave those images out")
