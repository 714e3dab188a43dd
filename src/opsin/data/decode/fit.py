"""From an image of any size to the size that a network takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from opsin.data.decode.bicubic import resize_bicubic

INTERPOLATIONS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
"""Pillow's, which smooth where an image becomes smaller."""

MAX_ASPECT = 16
"""An image may be so many times as long as it is wide; the middle of a longer one is taken."""


@dataclass(frozen=True)
class Crop:
    """The way of ImageNet's networks: the shorter side becomes `resize` pixels, then the middle is cut out.

    Sizes and places are rounded as torchvision rounds them, so that the pixels are the same.
    """

    resize: int
    interpolation: str
    """A key of `INTERPOLATIONS`."""

    def apply(self, image: Image.Image, height: int, width: int) -> NDArray[np.uint8]:
        """The middle of the resized image, uint8 C×`height`×`width`."""
        shorter = min(image.size)
        if max(image.size) > MAX_ASPECT * shorter:  # resized whole it could take any amount of memory
            most = MAX_ASPECT * shorter
            image = ImageOps.fit(image, (min(image.width, most), min(image.height, most)))
        columns, rows = (self.resize if side == shorter else int(self.resize * side / shorter) for side in image.size)
        resized = image.resize((columns, rows), INTERPOLATIONS[self.interpolation])
        left, top = round((columns - width) / 2), round((rows - height) / 2)
        return to_planes(resized.crop((left, top, left + width, top + height)))


def fit(image: Image.Image, height: int, width: int) -> NDArray[np.uint8]:
    """As much of the image as has these proportions, from its middle, uint8 C×`height`×`width`; bicubic."""
    wide = min(image.width, image.height * width / height)
    high = min(image.height, image.width * height / width)
    left, top = (image.width - wide) / 2, (image.height - high) / 2
    box = (left, top, left + wide, top + high)
    if (image.height, image.width) != (height, width):
        made = resize_bicubic(image, box, height, width)
        if made is not None:
            return made
    return to_planes(image.resize((width, height), Image.Resampling.BICUBIC, box))


def to_planes(image: Image.Image) -> NDArray[np.uint8]:
    """A grey or RGB image as uint8 C×H×W."""
    pixels = np.asarray(image, np.uint8).reshape(image.height, image.width, -1)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
