"""Resize and crop an image to the input size of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from opsin.data.decode.bicubic import Box, resize_bicubic

INTERPOLATIONS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
"""Pillow's filters, which are antialiased when shrinking."""

MAX_ASPECT = 16
"""Largest ratio of the longer to the shorter side; of a longer image, the centre is used."""


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
        result = resample(image, columns, rows, self.interpolation)
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


Framing: TypeAlias = Crop | Stretch
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
    return to_planes(resample(image, width, height, interpolation, box))


def resample(image: Image.Image, width: int, height: int, interpolation: str, box: Box | None = None) -> Image.Image:
    """Resize an image, or the part in `box`, by Pillow, along the rows first.

    The order changes pixels, because results are rounded and clamped in between. Which order Pillow prefers depends on
    its version, so each direction is a call.
    """
    left, top, right, bottom = box or (0.0, 0.0, float(image.width), float(image.height))
    method = INTERPOLATIONS[interpolation]
    narrow = image.resize((width, image.height), method, (left, 0, right, image.height))
    return narrow.resize((width, height), method, (0, top, width, bottom))


def to_planes(image: Image.Image) -> NDArray[np.uint8]:
    """Return a grey or RGB image as uint8 C×H×W."""
    pixels = np.asarray(image, np.uint8).reshape(image.height, image.width, -1)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
