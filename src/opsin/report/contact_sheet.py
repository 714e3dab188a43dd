"""Contact sheets: the first image of each class, and how the network will see it during training."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from unicodedata import combining, normalize

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from opsin.data import Preprocessing, Samples
from opsin.data.augment import Augmentation, Augmenter
from opsin.report.drawn_rows import DRAWN_VERSIONS, SheetRow, drawn_rows, to_bytes
from opsin.tasks.registry import is_annotated

MAX_ROWS = 24
"""Classes shown; if there are more, this many are chosen at even distances."""

VERSIONS = 8
"""Augmented images in each row."""

MAX_IMAGE_SIDE, GAP, MARGIN, NAME_WIDTH = 128, 6, 16, 168
"""Pixels: the largest side of an image, the gap between images, the margin, and the width of the class names."""

INK, GREY, BACKGROUND = (24, 24, 27), (96, 96, 105), (255, 255, 255)

FONTS = (
    "NotoSans-Regular.ttf", "DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "NotoSansSC-Regular.otf", "Arial Unicode.ttf",
    "PingFang.ttc", "msyh.ttc", "seguisym.ttf", "arial.ttf",
)  # fmt: skip
"""System fonts to try, in this order, for names that Pillow's own font cannot render."""

UNASSIGNED_CHARACTER = "\U0010fffe"
"""A noncharacter, which no font has a glyph for."""

AnyFont = ImageFont.ImageFont | ImageFont.FreeTypeFont


@dataclass(frozen=True)
class Style:
    """The size of text in pixels, its colour, and its anchor (see Pillow)."""

    size: int
    colour: tuple[int, int, int]
    anchor: str


NAME, COLUMN_HEADING, CAPTION = Style(16, INK, "lm"), Style(16, GREY, "ls"), Style(12, GREY, "lt")


def contact_sheet(
    images: Samples, preprocessing: Preprocessing, policy: Augmentation, versions: int | None = None, seed: int = 0
) -> Image.Image:
    """Draw the first image of each class, as stored and as the network sees it in `versions` epochs.

    Mixed images are mixed with that of the next row; their captions give the share and the class of the other image. At
    most `MAX_ROWS` classes are shown. Names that no font can render lose their accents, or become "class 3". For an
    annotated task, a few images are shown with their targets (see `opsin.report.drawn_rows`).
    """
    if is_annotated(images.task):
        drawn = drawn_rows(images, preprocessing, policy, versions or DRAWN_VERSIONS, seed)
        return _sheet([replace(row, name=_line(row.name) or f"image {n}") for n, row in enumerate(drawn, start=1)], 0)
    caption = CAPTION.size + GAP if policy.mixes else 0
    return _sheet(_rows(images, preprocessing, policy, versions or VERSIONS, seed), caption)


def _sheet(rows: list[SheetRow], caption: int) -> Image.Image:
    """Draw rows of images, with space for captions of this height."""
    pasted = [image for row in rows for image in (row.original, *row.augmented)]
    height, width = max(each.height for each in pasted), max(each.width for each in pasted)
    head, line = MARGIN + COLUMN_HEADING.size + GAP, height + caption + GAP
    left, columns = MARGIN + NAME_WIDTH, 1 + len(rows[0].augmented)
    sheet = Image.new(
        "RGB", (left + columns * (width + GAP) + GAP + MARGIN, head + line * len(rows) + MARGIN), BACKGROUND
    )
    canvas = ImageDraw.Draw(sheet)
    first = left + width + 3 * GAP
    for text, position in (("as stored", left), ("as the network sees it", first)):
        _write_line(canvas, text, (position, head - GAP), NAME_WIDTH, COLUMN_HEADING)
    for number, row in enumerate(rows):
        top = head + number * line
        _write_line(canvas, row.name, (MARGIN, top + height // 2), NAME_WIDTH - GAP, NAME)
        sheet.paste(row.original, (left, top))
        for column, (image, text) in enumerate(zip(row.augmented, row.captions, strict=True)):
            position = first + column * (width + GAP)
            sheet.paste(image, (position, top))
            _write_line(canvas, text, (position, top + height + GAP // 2), width, CAPTION)
    return sheet


def _rows(
    images: Samples, preprocessing: Preprocessing, policy: Augmentation, versions: int, seed: int
) -> list[SheetRow]:
    """Return, for each class shown, its first image in all epochs."""
    present, firsts = np.unique(images.targets.strata(), return_index=True)
    indices = np.unique(np.linspace(0, len(present) - 1, min(MAX_ROWS, len(present))).astype(np.intp))
    labels, pixels = present[indices].astype(np.int32), images.pixels[firsts[indices]]
    chosen, classes = images.targets.take(firsts[indices]), images.task.labels
    augmenter = Augmenter(policy, preprocessing, images.shape[1:], images.task, seed)
    augmented, captions = [], []
    for epoch in range(1, versions + 1):
        shown, targets = augmenter(pixels, chosen, len(labels), epoch, 0)
        augmented.append([_shown(image) for image in to_bytes(shown, preprocessing)])
        captions.append(_captions(targets["labels"], labels, classes) if policy.mixes else [""] * len(labels))
    names, originals = [_name(classes, label) for label in labels], [_shown(image) for image in pixels]
    rows = zip(names, originals, zip(*augmented, strict=True), zip(*captions, strict=True), strict=True)
    return [SheetRow(name, original, list(row), list(texts)) for name, original, row, texts in rows]


def _captions(targets: NDArray[Any], labels: NDArray[np.int32], classes: tuple[str, ...]) -> list[str]:
    """Return the share and the class of the other image in mixed images, and nothing for the others."""
    other_shares = np.array(targets)
    other_shares[np.arange(len(labels)), labels] = 0
    other = other_shares.argmax(axis=1)
    return [f"+ {row[c]:.0%} {_name(classes, c)}" if row[c] else "" for row, c in zip(other_shares, other, strict=True)]


def _size(shape: tuple[int, int, int]) -> tuple[int, int]:
    """Return height and width in which to show an image: tiny ones enlarged by whole factors, large ones reduced."""
    _, height, width = shape
    if max(height, width) <= MAX_IMAGE_SIDE:
        times = MAX_IMAGE_SIDE // max(height, width)
        return times * height, times * width
    return max(1, MAX_IMAGE_SIDE * height // max(height, width)), max(1, MAX_IMAGE_SIDE * width // max(height, width))


def _shown(pixels: NDArray[np.uint8]) -> Image.Image:
    """Return an image, uint8 C×H×W, in the size in which it is shown."""
    channels, height, width = pixels.shape
    rows, columns = _size((channels, height, width))
    image = Image.fromarray(pixels[0] if channels == 1 else np.ascontiguousarray(pixels[:3].transpose(1, 2, 0)))
    larger = rows >= height
    return image.resize((columns, rows), Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS)


def _write_line(canvas: ImageDraw.ImageDraw, text: str, position: tuple[int, int], width: int, style: Style) -> None:
    """Write one line, which ends in … if it would be wider than `width`."""
    font = _font(text, style.size) or _fonts(style.size)[0]
    while canvas.textlength(text, font) > width:
        text = text.removesuffix("…")[:-1] + "…"
    canvas.text(position, text, style.colour, font, anchor=style.anchor)


def _name(classes: tuple[str, ...], number: int) -> str:
    """Return the class's name as one line; without accents, or as "class 3", if no font can render it."""
    return _line(classes[number]) or f"class {number + 1}"


def _line(text: str) -> str:
    """Return text as one line; without accents if no font can render it so, and empty if none can render it at all."""
    encodable = text.encode("utf-8", "replace").decode()  # file names may contain lone surrogates
    name = " ".join(encodable.split())
    unaccented_name = "".join(c for c in normalize("NFKD", name) if not combining(c))
    return next((line for line in (name, unaccented_name) if line and _font(line, NAME.size)), "")


def _font(text: str, size: int) -> AnyFont | None:
    """Return the first font that can render `text`."""
    return next((font for font in _fonts(size) if _can_write(font, text)), None)


@cache
def _fonts(size: int) -> list[AnyFont]:
    """Return Pillow's own font, and the system fonts that are installed."""
    fonts: list[AnyFont] = [ImageFont.load_default(size)]
    for name in FONTS:
        with suppress(OSError):  # not installed
            fonts.append(ImageFont.truetype(name, size))
    return fonts


def _can_write(font: AnyFont, text: str) -> bool:
    """Whether the font has a glyph for every character."""
    placeholder = _shape(font, UNASSIGNED_CHARACTER)
    return all(character.isspace() or _shape(font, character) != placeholder for character in set(text))


def _shape(font: AnyFont, character: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(character)
    return mask.size, bytes(mask)
