"""Draw a segmentation over its image: translucent areas with outlines, and a legend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from opsin.base.errors import DataError
from opsin.base.formatting import percent
from opsin.tasks.segmentation.answers import Segmentation, palette
from opsin.tasks.segmentation.boundary import dilated
from opsin.tasks.segmentation.coding import BACKGROUND, IGNORE, Ids
from opsin.tasks.segmentation.colours import Colour, colour_of

OPACITY = 0.4
OUTLINE_SHARE = 1 / 400
"""The width of outlines as a share of the image's longer side; at least a pixel."""

MAX_LEGEND_ENTRIES = 24
MAX_NAME_LENGTH = 40
TEXT_COLOUR, PAPER = (0, 0, 0), (255, 255, 255)


def overlay(
    image: Image.Image, ids: Ids, classes: Sequence[str], *, opacity: float = OPACITY, outlines: bool = True
) -> Image.Image:
    """Return the image, RGB, with each class in its colour; a first class called "background" is left as it is.

    `ids` are H × W like the image; ignored pixels, 255, are left as they are. Raise `DataError` for another size.
    """
    if ids.shape != (image.height, image.width):
        raise DataError(f"a mask {ids.shape} for an image of {image.height} × {image.width}; give one of the same size")
    pixels = np.asarray(image.convert("RGB")).astype(np.float32)
    colours = np.frombuffer(palette(), np.uint8).reshape(256, 3)[ids].astype(np.float32)
    is_drawn = (ids != IGNORE) & (ids >= _first(classes))
    weight = np.where(is_drawn, opacity, 0.0)
    if outlines:
        weight[_outline(ids, max(image.size)) & is_drawn] = 1.0
    mixed = pixels + (colours - pixels) * weight[..., None].astype(np.float32)
    return Image.fromarray(np.rint(mixed).astype(np.uint8))


def draw(image: Image.Image, answer: Segmentation, *, opacity: float = OPACITY, legend: bool = True) -> Image.Image:
    """Return the image with the answer drawn over it, and a legend of the classes and their shares below."""
    drawn = overlay(image, answer.ids, answer.classes, opacity=opacity)
    return with_legend(drawn, _entries(answer)) if legend else drawn


def _first(classes: Sequence[str]) -> int:
    """Return the first class id that is drawn."""
    return int(bool(classes) and classes[0].lower() == BACKGROUND)


def _outline(ids: Ids, side: int) -> NDArray[np.bool_]:
    """Return the pixels along the borders of areas, on the inside of both."""
    edges = np.zeros(ids.shape, np.bool_)
    for axis in (0, 1):
        differ = np.diff(ids.astype(np.int16), axis=axis) != 0
        one, other = (np.s_[1:, :], np.s_[:-1, :]) if axis == 0 else (np.s_[:, 1:], np.s_[:, :-1])
        edges[one] |= differ
        edges[other] |= differ
    thickness = max(1, round(side * OUTLINE_SHARE))
    return dilated(edges, thickness - 1)


def _entries(answer: Segmentation) -> list[tuple[Colour, str]]:
    """Return colour and text of the classes that are drawn, the largest first."""
    rows = [(share, i) for i, share in enumerate(answer.shares) if share > 0 and i >= _first(answer.classes)]
    rows.sort(reverse=True)
    return [(colour_of(i), f"{_short(answer.classes[i])}  {percent(share)}") for share, i in rows[:MAX_LEGEND_ENTRIES]]


def _short(name: str) -> str:
    return name if len(name) <= MAX_NAME_LENGTH else name[: MAX_NAME_LENGTH - 1] + "…"


def with_legend(image: Image.Image, entries: Sequence[tuple[Colour, str]]) -> Image.Image:
    """Return the image with lines of coloured squares and texts below it; the image itself if there are none."""
    if not entries:
        return image
    height = min(32, max(14, image.width // 30))
    font = ImageFont.load_default(height * 0.7)
    boxes = [(colour, _encodable(text, font)) for colour, text in entries]
    places, x, y = [], 0, 0
    for _, text in boxes:
        width = round(1.5 * height + font.getlength(text)) + height // 2
        if x and x + width > image.width:
            x, y = 0, y + height
        places.append((x, y))
        x += width
    page = Image.new("RGB", (image.width, image.height + y + height), PAPER)
    page.paste(image, (0, 0))
    pen = ImageDraw.Draw(page)
    for (colour, text), (left, top) in zip(boxes, places, strict=True):
        square = height * 0.2
        corner = left + square, image.height + top + square
        pen.rectangle((*corner, corner[0] + 0.6 * height, corner[1] + 0.6 * height), fill=colour, outline=TEXT_COLOUR)
        pen.text((left + 1.1 * height, image.height + top + 0.1 * height), text, fill=TEXT_COLOUR, font=font)
    return page


def _encodable(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """Return the text without characters that the font of a Pillow without FreeType cannot draw."""
    if isinstance(font, ImageFont.FreeTypeFont):
        return text
    return text.encode("latin-1", "replace").decode("latin-1")
