"""Resize and crop an image to the input size of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from opsin.data.decode import portable
from opsin.data.decode.bicubic import Box, resize_bicubic
from opsin.data.decode.portable import MAX_ASPECT

INTERPOLATIONS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
"""Pillow's filters, which are antialiased when shrinking."""


@dataclass(frozen=True)
class Crop:
    """The preprocessing of ImageNet networks: resize the shorter side to `resize` pixels, then crop the centre.

    Sizes and offsets are rounded as in torchvision, so the pixels are identical.
    """

    resize: int
    interpolation: str
    """A key of `INTERPOLATIONS`."""

    def apply(self, image: Image.Image, height: int, width: int) -> NDArray[np.uint8]:
        """Return the centre of the resized image, uint8 C×`height`×`width`."""
        shorter = min(image.size)
        if max(image.size) > MAX_ASPECT * shorter:  # resized as a whole, it could need any amount of memory
            limit = MAX_ASPECT * shorter
            image = ImageOps.fit(image, (min(image.width, limit), min(image.height, limit)))
        columns, rows = (self.resize if side == shorter else int(self.resize * side / shorter) for side in image.size)
        result = image.resize((columns, rows), INTERPOLATIONS[self.interpolation])
        left, top = round((columns - width) / 2), round((rows - height) / 2)
        return to_planes(result.crop((left, top, left + width, top + height)))


@dataclass(frozen=True)
class Stretch:
    """Resize the whole image, whatever its aspect ratio, so that positions keep their shares of width and height."""

    interpolation: str = "bicubic"
    """A key of `INTERPOLATIONS`."""

    def apply(self, image: Image.Image, height: int, width: int) -> NDArray[np.uint8]:
        """Return the resized image, uint8 C×`height`×`width`."""
        return _resized(image, (0.0, 0.0, float(image.width), float(image.height)), height, width, self.interpolation)


@dataclass(frozen=True)
class Portable:
    """Frame as `framing` does, with pixels that are bit-identical in exported programs (see `portable.py`)."""

    framing: Crop | Stretch | None

    @classmethod
    def of(cls, framing: Crop | Stretch | Portable | None) -> Portable:
        """Return the portable form of a framing."""
        return framing if isinstance(framing, Portable) else cls(framing)

    def apply(self, image: Image.Image, height: int, width: int) -> NDArray[np.uint8]:
        """Return the framed image, uint8 C×`height`×`width`."""
        size = image.height, image.width
        match self.framing:
            case Crop(resize, interpolation):
                frame = portable.cropped(size, height, width, resize, interpolation)
            case Stretch(interpolation):
                frame = portable.stretched(size, height, width, interpolation)
            case _:
                frame = portable.fitted(size, height, width)
        return frame.apply(image)


Framing: TypeAlias = Crop | Stretch | Portable
"""How an image becomes one of the network's size; None: the largest centred part, see `fit`."""


def fit(image: Image.Image, height: int, width: int) -> NDArray[np.uint8]:
    """Return the largest centred part with this aspect ratio, resized (bicubic) to uint8 C×`height`×`width`."""
    box_width = min(image.width, image.height * width / height)
    box_height = min(image.height, image.width * height / width)
    left, top = (image.width - box_width) / 2, (image.height - box_height) / 2
    return _resized(image, (left, top, left + box_width, top + box_height), height, width, "bicubic")


def _resized(image: Image.Image, box: Box, height: int, width: int, interpolation: str) -> NDArray[np.uint8]:
    """Return the part of an image in `box`, resized to uint8 C×`height`×`width`."""
    if interpolation == "bicubic" and (image.height, image.width) != (height, width):
        pixels = resize_bicubic(image, box, height, width)
        if pixels is not None:
            return pixels
    return to_planes(image.resize((width, height), INTERPOLATIONS[interpolation], box))


def to_planes(image: Image.Image) -> NDArray[np.uint8]:
    """Return a grey or RGB image as uint8 C×H×W."""
    pixels = np.asarray(image, np.uint8).reshape(image.height, image.width, -1)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
