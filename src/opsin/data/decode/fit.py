"""Resize and crop an image to the input size of a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from opsin.data.decode.bicubic import resize_bicubic

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
        result = image.resize((columns, rows), INTERPOLATIONS[self.interpolation])
        left, top = round((columns - width) / 2), round((rows - height) / 2)
        return to_planes(result.crop((left, top, left + width, top + height)))


def fit(image: Image.Image, height: int, width: int) -> NDArray[np.uint8]:
    """Return the largest centred part with this aspect ratio, resized (bicubic) to uint8 C×`height`×`width`."""
    box_width = min(image.width, image.height * width / height)
    box_height = min(image.height, image.width * height / width)
    left, top = (image.width - box_width) / 2, (image.height - box_height) / 2
    box = (left, top, left + box_width, top + box_height)
    if (image.height, image.width) != (height, width):
        pixels = resize_bicubic(image, box, height, width)
        if pixels is not None:
            return pixels
    return to_planes(image.resize((width, height), Image.Resampling.BICUBIC, box))


def to_planes(image: Image.Image) -> NDArray[np.uint8]:
    """Return a grey or RGB image as uint8 C×H×W."""
    pixels = np.asarray(image, np.uint8).reshape(image.height, image.width, -1)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
