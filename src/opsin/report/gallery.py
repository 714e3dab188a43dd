"""Small copies of images for a page: as data in the page itself, so that it stays one file."""

from __future__ import annotations

import base64
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opsin.data.pixels import Pixels

SIDE = 112
"""Pixels of the longer side of a small copy."""

TINY = 48
"""Images of at most this side keep every pixel, and are enlarged when shown."""

QUALITY = 72
"""Of the JPEGs."""

MOST = 700
"""Small copies in an album: about 3 MB of them."""


class Album:
    """Small copies of images by a key that names part and number, each made once, and no more than `MOST`."""

    def __init__(self) -> None:
        self.copies: dict[str, str] = {}

    def add(self, part: str, pixels: Pixels, number: int) -> str | None:
        """The key of the small copy of an image; None where the album is full."""
        key = f"{part}-{number}"
        if key not in self.copies:
            if len(self.copies) >= MOST:
                return None
            self.copies[key] = thumbnail(pixels[number])
        return key

    def show(self, key: str, pixels: NDArray[np.uint8]) -> str:
        """`key`, after keeping a small copy of an image under it."""
        self.copies[key] = thumbnail(pixels)
        return key


def thumbnail(pixels: NDArray[np.uint8]) -> str:
    """uint8 C×H×W, of one or three channels, as a `data:` address: PNG for tiny images, JPEG for others."""
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels[:3].transpose(1, 2, 0)))
    file = BytesIO()
    if max(image.size) <= TINY:
        image.save(file, "PNG", optimize=True)
        kind = "png"
    else:
        image.thumbnail((SIDE, SIDE))
        image.save(file, "JPEG", quality=QUALITY, optimize=True)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
