"""Thumbnails, stored as `data:` URLs to keep a page in a single file."""

from __future__ import annotations

import base64
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opsin.data import Samples

MAX_THUMBNAIL_SIDE = 112
"""Pixels of the longer side of a thumbnail."""

TINY_SIDE = 48
"""Images of at most this side keep every pixel, and browsers enlarge them."""

JPEG_QUALITY = 72

MAX_THUMBNAILS = 700
"""Thumbnails in a store: about 3 MB."""


class ThumbnailStore:
    """Thumbnails by a key that names split and image; each is made once, up to `MAX_THUMBNAILS`."""

    def __init__(self) -> None:
        self.urls: dict[str, str] = {}

    def add(self, split: str, images: Samples, number: int) -> str | None:
        """Return the key of an image's thumbnail; None if the store is full."""
        key = f"{split}-{number}"
        if key not in self.urls:
            if len(self.urls) >= MAX_THUMBNAILS:
                return None
            self.urls[key] = thumbnail(shown_pixels(images, number))
        return key

    def put(self, key: str, pixels: NDArray[np.uint8]) -> str:
        """Store the thumbnail of an image under `key`, and return the key."""
        self.urls[key] = thumbnail(pixels)
        return key


def shown_pixels(images: Samples, number: int) -> NDArray[np.uint8]:
    """Return a sample as an image, uint8 C×H×W: the image itself, or one that is rendered of another kind of input."""
    sample = images.pixels[number]
    if images.input is None:
        return sample
    return np.ascontiguousarray(images.input.render(sample).transpose(2, 0, 1))


def thumbnail(pixels: NDArray[np.uint8]) -> str:
    """Return an image (uint8 C×H×W of one or three channels) as a `data:` URL: PNG if it is tiny, JPEG otherwise."""
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels[:3].transpose(1, 2, 0)))
    if max(image.size) > TINY_SIDE:
        return jpeg_url(image, MAX_THUMBNAIL_SIDE, JPEG_QUALITY)
    return png_url(image)


def png_url(image: Image.Image) -> str:
    """Return an image as a `data:` URL, with every pixel as it is."""
    file = BytesIO()
    image.save(file, "PNG", optimize=True)
    return _data_url(file, "png")


def jpeg_url(image: Image.Image, max_side: int, quality: int) -> str:
    """Return an image, reduced to at most `max_side` pixels in both directions, as a `data:` URL."""
    file, reduced = BytesIO(), image.copy()
    reduced.thumbnail((max_side, max_side))
    reduced.save(file, "JPEG", quality=quality, optimize=True)
    return _data_url(file, "jpeg")


def _data_url(file: BytesIO, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
