"""Convert arrays of any layout and number type to images of bytes.

| X | holds |
|---|---|
| N×H×W | grey images |
| N×H×W×C, N×C×H×W | with 1 or 3 channels, last or first |
| N×F | flattened images of `image_shape`, or square grey ones; other features fill a square row by row |

Bytes (uint8) are used as they are. Other numbers are scaled: the minimum and maximum of the training images become 0
and 255, and values in between are rounded. Later images are clipped to that range. They are refused if their values are
so far outside, or so small, that they must be on another scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isqrt, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.apps.estimator.errors import InputError, InputTypeError
from opsin.ir import show

CHANNELS = (1, 3)
"""The possible numbers of channels."""

MIN_NETWORK_SIDE = 12
"""Smaller images are enlarged to at least this side, because networks of the zoo need pixels to pool."""

MIN_COLOUR_SIDE = 8
"""From this side on, rows of 3 · side² numbers may be flattened colour images, in an unknown order."""

CHUNK = 1024
"""The number of images per block when values are scaled, which limits the size of the working copy."""

MAX_EXCESS = 4.0
"""Numbers outside the training range by more than this multiple of its width are on another scale."""

MIN_INTEGER_RANGE = 16.0
"""A range of integers of at least this width cannot be meant as fractions from 0 to 1."""

MIN_CLIPPED_SHARE = 0.1
"""The minimum share of clipped numbers that causes a warning."""

TOLERANCE = 0.02
"""The share of the training range by which numbers may be outside it without a warning."""

DARK_SHARE = 1 / 12
"""The share of the training range that contains all values of a nearly black image."""

WHITE_LEVELS = (1, 255, 4095, 65535)
"""The usual values of white."""

RENAMED = {
    "laid": "layout", "axis": "channel_axis", "factor": "enlargement", "image": "is_image", "kind": "dtype",
    "whole": "is_integer",
}  # fmt: skip
"""Attributes in pickles of Opsin 0.1.0, and their current names."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class ImageLayout:
    """How an array of shape `sample` becomes an image.

    `layout` is the shape in which its numbers are arranged (H×W, H×W×C or C×H×W), and `channel_axis` the axis of the
    channels in it (None: there is one channel). `low` and `high` become 0 and 255 (None: bytes are unchanged). Each
    pixel is repeated `enlargement` times in both directions. `is_image` says that the numbers are pixels, not features
    arranged in a square, `dtype` is their type, and `is_integer` says that all of them were integers.
    """

    sample: Shape
    layout: Shape
    channel_axis: int | None
    low: float | None
    high: float | None
    enlargement: int
    is_image: bool
    dtype: str = ""
    is_integer: bool = False

    @classmethod
    def of(cls, x: NDArray[Any], image_shape: Shape | None, enlarge: bool) -> ImageLayout:
        """Return the layout of training images `x`. Raise `InputError` if it is ambiguous.

        With `enlarge`, small images are enlarged.
        """
        layout, is_image = _layout(x.shape[1:], image_shape)
        axis = _channel_axis(layout)
        sides = [side for index, side in enumerate(layout) if index != axis]
        enlargement = ceil(MIN_NETWORK_SIDE / min(sides)) if enlarge else 1
        low, high, is_integer = None, None, x.dtype.kind in "bui"
        if x.dtype != np.uint8:
            low, high = float(np.min(x)), float(np.max(x))
            if not np.isfinite(high - low):
                raise _not_finite(np.array([low, high]))
            is_integer = is_integer or bool((x == np.rint(x)).all())
        return cls(x.shape[1:], layout, axis, low, high, enlargement, is_image, str(x.dtype), is_integer)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickle, also one of Opsin 0.1.0."""
        self.__dict__.update({RENAMED.get(name, name): value for name, value in state.items()})

    def pixels(self, x: NDArray[Any], name: str) -> NDArray[np.uint8]:
        """Return the images in `x`, an array from `check_array`, as uint8 N×C×H×W.

        `name` is the estimator in messages. Raise `InputError` if shape or scale differ from the training images.
        """
        if x.shape[1:] != self.sample:
            if x.ndim == 2 and len(self.sample) == 1:
                raise InputError(
                    f"X has {x.shape[1]} features, but {name} is expecting {self.sample[0]} features as input"
                )
            raise InputError(f"X holds arrays of {show(x.shape[1:])}, but {name} was trained on {show(self.sample)}")
        self._check_scale(x)
        rows = np.zeros((len(x), prod(self.layout)), np.uint8)  # features may not fill the square
        for first in range(0, len(x), CHUNK):
            chunk = x[first : first + CHUNK].reshape(len(x[first : first + CHUNK]), -1)
            rows[first : first + CHUNK, : chunk.shape[1]] = self._bytes(chunk)
        images = rows.reshape(len(x), *self.layout)
        images = images[:, None] if self.channel_axis is None else np.moveaxis(images, self.channel_axis + 1, 1)
        if self.enlargement > 1:
            images = images.repeat(self.enlargement, axis=2).repeat(self.enlargement, axis=3)
        return np.ascontiguousarray(images)

    def _check_scale(self, x: NDArray[Any]) -> None:
        """Raise `InputError` if the numbers must be on another scale than those of the training images."""
        if self.low is None or self.high is None or not len(x):
            return
        low, high, width = float(np.min(x)), float(np.max(x)), self.high - self.low
        if not width or not np.isfinite(high - low):
            return
        excess = MAX_EXCESS * width
        is_far = self.is_image and (high > self.high + excess or low < self.low - excess)
        is_narrow = x.dtype == bool or (x.dtype == np.uint8 and self.high > 4 * np.iinfo(np.uint8).max)
        is_fraction = x.dtype.kind == "f" and low >= 0 and high <= 1 and bool((x != np.rint(x)).any())
        if is_far or (width >= MIN_INTEGER_RANGE and (is_narrow or (self.is_integer and is_fraction))):
            raise InputError(
                f"X is {x.dtype} from {low:g} to {high:g}, but training was on {self.dtype or 'numbers'} from "
                f"{self.low:g} to {self.high:g}; give numbers on the same scale: {self._advice(x, high)}"
            )

    def _advice(self, x: NDArray[Any], high: float) -> str:
        """Return how to convert numbers from one usual scale to that of the training."""
        white = 255 if x.dtype == np.uint8 else _white_level(high)
        if self.is_image and self.low is not None and self.high is not None and white and np.min(x) >= 0:
            fitted_white = _white_level(self.high)
            if self.low >= 0 and fitted_white and fitted_white != white:
                return f"X / {white}" if fitted_white == 1 else f"X.astype(float) * ({fitted_white} / {white})"
        return "prepare X as the training images were prepared, or clip it to their range"

    def scale_warning(self, x: NDArray[Any]) -> str:
        """Return a warning about the scale of numbers that are accepted; "" if there is none."""
        if not self.is_image or self.low is None or self.high is None or not self.high > self.low:
            return ""
        width = self.high - self.low
        margin = TOLERANCE * width
        outside = float(((x < self.low - margin) | (x > self.high + margin)).mean())
        training = f"training was on numbers from {self.low:g} to {self.high:g}"
        if outside > MIN_CLIPPED_SHARE:
            return f"{outside:.0%} of the numbers in X are outside the training range and are clipped; {training}"
        low, high = float(np.min(x)), float(np.max(x))
        if low < high <= self.low + DARK_SHARE * width:
            return f"X is nearly black, with numbers from {low:g} to {high:g}; {training}"
        return ""

    def _bytes(self, x: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the numbers of `x` as bytes."""
        if self.low is None or self.high is None:
            if x.dtype != np.uint8:
                raise InputError(
                    f"X is {x.dtype}, but training was on bytes; give uint8 from 0 to 255 again{_to_bytes(x)}"
                )
            return x
        numbers = x.astype(np.float64)
        if not np.isfinite(numbers).all():
            raise _not_finite(numbers)
        levels = (numbers - self.low) * (255 / (self.high - self.low) if self.high > self.low else 0.0)
        pixels: NDArray[np.uint8] = np.rint(levels.clip(0, 255)).astype(np.uint8)
        return pixels


Form = ImageLayout
"""The name in pickles of Opsin 0.1.0."""


def _white_level(high: float) -> int | None:
    """Return the lowest usual value of white that is at least `high`."""
    return next((white for white in WHITE_LEVELS if high <= white), None)


def _to_bytes(x: NDArray[Any]) -> str:
    """Return how to convert these numbers to bytes, without overflow."""
    low, high = (float(np.min(x)), float(np.max(x))) if x.size else (0.0, 0.0)
    if not (low >= 0 and high <= 65535):
        return ""
    if high <= 1:
        return ", such as (255.0 * X).round().astype('uint8')"
    return ", such as X.astype('uint8')" if high <= 255 else ", such as (X / 257).round().astype('uint8')"


def check_array(x: Any) -> NDArray[Any]:
    """Return `x` as an array of real numbers with a row for each image. Raise `InputError` if it is anything else."""
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
    """Return `x` as an array of Booleans, integers or real numbers."""
    try:
        array = np.asarray(x)
        if array.dtype.kind in "buif":
            return array
        if array.dtype.kind != "c":
            return array.astype(np.float64)
    except TypeError as error:
        raise InputTypeError(f"X holds something that is not a number ({error})") from None
    except ValueError as error:
        raise InputError(f"X is not an array of numbers, all images of one size ({error})") from None
    raise InputError("Complex data not supported: pixels are real numbers")


def _layout(sample: Shape, image_shape: Shape | None) -> tuple[Shape, bool]:
    """Return the shape in which a sample's numbers are arranged, and whether they are pixels."""
    if image_shape is not None:
        layout = _check_image_shape(image_shape)
        if sample != layout and (len(sample) != 1 or sample[0] != prod(layout)):
            numbers = f"{sample[0]} features" if len(sample) == 1 else f"arrays of {show(sample)}"
            raise InputError(
                f"X has {numbers}, but image_shape={layout} needs {prod(layout)}; give the shape of an image"
            )
        return layout, True
    if len(sample) > 1:
        return sample, True
    count = sample[0]
    side = isqrt(count)
    colour_side = isqrt(count // 3)
    if colour_side >= MIN_COLOUR_SIDE and 3 * colour_side**2 == count:
        raise InputError(
            f"X has {count} features, which may be colour images of {colour_side} × {colour_side}; say which layout: "
            f"image_shape=({colour_side}, {colour_side}, 3) if red, green and blue of a pixel follow each other, "
            f"image_shape=(3, {colour_side}, {colour_side}) if all of red comes first"
        )
    return ((side, side), True) if side**2 == count else ((side + 1, side + 1), False)


def _check_image_shape(image_shape: Any) -> Shape:
    try:
        layout = tuple(int(side) for side in image_shape)
    except (TypeError, ValueError):
        layout = ()
    if len(layout) not in (2, 3) or min(layout) < 1:
        raise InputError(
            f"image_shape must be (height, width), (height, width, channels) or (channels, height, width), "
            f"not {image_shape!r}"
        )
    return layout


def _channel_axis(layout: Shape) -> int | None:
    """Return the axis of the channels; None if there is none. Raise `InputError` if it is ambiguous."""
    if len(layout) == 2:
        return None
    if len(layout) == 3:
        first, last = (layout[axis] in CHANNELS for axis in (0, 2))
        if first != last:
            return 0 if first else 2
        if first:
            raise InputError(
                f"the images are {show(layout)}, in which the channels could be first or last; "
                "give grey ones without channels, and others larger"
            )
    raise InputError(
        f"X holds arrays of {show(layout)}; give images of height × width, with 1 or 3 channels before or after, "
        "or flattened ones"
    )


def _not_finite(numbers: NDArray[np.float64]) -> InputError:
    value = "NaN" if np.isnan(numbers).any() else "infinity (inf)"
    return InputError(f"X contains {value}; pixels are finite numbers: replace the others, or leave those images out")
