"""Thumbnails of many images in one sheet, from which a page cuts them: one decoding instead of thousands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opsin.data.pixels import Pixels
from opsin.report.thumbnails import jpeg_url, png_url

SIDES = (40, 32, 28, 24, 20, 16, 12)
"""Sides of thumbnails in pixels, of which the largest is taken that fits."""

QUALITY = 70

GREYS = 8
"""Greys of a sheet of drawings or digits."""

CHUNK = 256
"""Images that are read at a time."""


@dataclass(frozen=True)
class Sprite:
    """A sheet of `count` thumbnails of `side` × `side` pixels, `columns` in a row; `url` is a `data:` URL."""

    url: str
    side: int
    columns: int
    count: int

    def to_data(self) -> dict[str, Any]:
        return {"url": self.url, "side": self.side, "columns": self.columns, "count": self.count}


def sprite(
    pixels: Pixels, numbers: Sequence[int] | NDArray[np.intp], max_bytes: int, sides: Sequence[int] = SIDES
) -> Sprite:
    """Return the thumbnails of the images `numbers` of `pixels` (uint8 N×C×H×W), of the largest of `sides` that fits.

    If not even the smallest fits into `max_bytes`, it is taken all the same. Images that are not square are stretched.
    """
    sources = _scaled(pixels, np.asarray(numbers, np.intp), sides[0])
    columns = max(1, ceil(sqrt(len(sources))))
    rows = ceil(len(sources) / columns)
    for side in sides:
        sheet = Image.new(sources[0].mode if sources else "L", (columns * side, max(1, rows) * side))
        for number, image in enumerate(sources):
            scaled = image if image.size == (side, side) else image.resize((side, side), Image.Resampling.BOX)
            sheet.paste(scaled, (number % columns * side, number // columns * side))
        url = min(_urls(sheet), key=len)
        if len(url) <= max_bytes:
            break
    return Sprite(url, side, columns, len(sources))


def _urls(sheet: Image.Image) -> list[str]:
    """Return a sheet as JPEG, and if it is grey also as PNG with a few greys, which is smaller for drawings."""
    urls = [jpeg_url(sheet, max(sheet.size), QUALITY)]
    return [*urls, png_url(sheet.quantize(GREYS))] if sheet.mode == "L" else urls


def _scaled(pixels: Pixels, numbers: NDArray[np.intp], side: int) -> list[Image.Image]:
    """Return images scaled to `side` × `side` pixels, grey or in colour."""
    scaled = []
    for first in range(0, len(numbers), CHUNK):
        for image in pixels[numbers[first : first + CHUNK]]:
            shown = image[0] if len(image) < 3 else np.ascontiguousarray(image[:3].transpose(1, 2, 0))
            method = Image.Resampling.BOX if min(shown.shape[:2]) > side else Image.Resampling.BILINEAR
            scaled.append(Image.fromarray(shown).resize((side, side), method))
    return scaled
