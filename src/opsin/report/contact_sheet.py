"""Contact sheets: the first image of each class, and how the network will see it during training."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any
from unicodedata import combining, normalize

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from opsin.data import Preprocessing, Samples
from opsin.data.augment import Augmentation, Augmenter

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


@dataclass(frozen=True)
class ClassRow:
    """A class: its name, its original image (H×W×C), the augmented versions, and a caption for each of these."""

    name: str
    original: NDArray[np.uint8]
    augmented: list[NDArray[np.uint8]]
    captions: list[str]


def contact_sheet(
    images: Samples, preprocessing: Preprocessing, policy: Augmentation, versions: int = VERSIONS, seed: int = 0
) -> Image.Image:
    """Draw the first image of each class, as stored and as the network sees it in `versions` epochs.

    Mixed images are mixed with that of the next row; their captions give the share and the class of the other image. At
    most `MAX_ROWS` classes are shown. Names that no font can render lose their accents, or become "class 3".
    """
    rows = _rows(images, preprocessing, policy, versions, seed)
    caption = CAPTION.size + GAP if policy.mixes else 0
    height, width = (max(side) for side in zip(_size(images.shape), _size(preprocessing.shape), strict=True))
    head, line = MARGIN + COLUMN_HEADING.size + GAP, height + caption + GAP
    left = MARGIN + NAME_WIDTH
    sheet = Image.new(
        "RGB", (left + (versions + 1) * (width + GAP) + GAP + MARGIN, head + line * len(rows) + MARGIN), BACKGROUND
    )
    canvas = ImageDraw.Draw(sheet)
    first = left + width + 3 * GAP
    for text, position in (("as stored", left), ("as the network sees it", first)):
        _write_line(canvas, text, (position, head - GAP), NAME_WIDTH, COLUMN_HEADING)
    for number, row in enumerate(rows):
        top = head + number * line
        _write_line(canvas, row.name, (MARGIN, top + height // 2), NAME_WIDTH - GAP, NAME)
        _paste(sheet, row.original, left, top)
        for column, (image, text) in enumerate(zip(row.augmented, row.captions, strict=True)):
            position = first + column * (width + GAP)
            _paste(sheet, image, position, top)
            _write_line(canvas, text, (position, top + height + GAP // 2), width, CAPTION)
    return sheet


def _rows(
    images: Samples, preprocessing: Preprocessing, policy: Augmentation, versions: int, seed: int
) -> list[ClassRow]:
    """Return, for each class shown, its first image in all epochs."""
    present, firsts = np.unique(images.targets.strata(), return_index=True)
    indices = np.unique(np.linspace(0, len(present) - 1, min(MAX_ROWS, len(present))).astype(np.intp))
    labels, pixels = present[indices].astype(np.int32), images.pixels[firsts[indices]]
    chosen, classes = images.targets.take(firsts[indices]), images.task.labels
    augmenter = Augmenter(policy, preprocessing, images.shape[1:], images.task, seed)
    scale, shift = (factor.reshape(-1, 1, 1) for factor in preprocessing.scale_and_shift)
    augmented, captions = [], []
    for epoch in range(1, versions + 1):
        shown, targets = augmenter(pixels, chosen, len(labels), epoch, 0)
        values = np.clip(np.rint((shown - shift) / scale), 0, 255).astype(np.uint8)
        augmented.append(values.transpose(0, 2, 3, 1))
        captions.append(_captions(targets["labels"], labels, classes) if policy.mixes else [""] * len(labels))
    names = [_name(classes, label) for label in labels]
    originals = [image.transpose(1, 2, 0) for image in pixels]
    rows = zip(names, originals, zip(*augmented, strict=True), zip(*captions, strict=True), strict=True)
    return [ClassRow(name, original, list(row), list(texts)) for name, original, row, texts in rows]


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


def _paste(sheet: Image.Image, pixels: NDArray[np.uint8], left: int, top: int) -> None:
    """Paste an H×W×C image at its display size."""
    rows, columns = _size((pixels.shape[2], pixels.shape[0], pixels.shape[1]))
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else np.ascontiguousarray(pixels[:, :, :3]))
    larger = rows >= image.height
    image = image.resize((columns, rows), Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS)
    sheet.paste(image, (left, top))


def _write_line(canvas: ImageDraw.ImageDraw, text: str, position: tuple[int, int], width: int, style: Style) -> None:
    """Write one line, which ends in … if it would be wider than `width`."""
    font = _font(text, style.size) or _fonts(style.size)[0]
    while canvas.textlength(text, font) > width:
        text = text.removesuffix("…")[:-1] + "…"
    canvas.text(position, text, style.colour, font, anchor=style.anchor)


def _name(classes: tuple[str, ...], number: int) -> str:
    """Return the class's name as one line; without accents, or as "class 3", if no font can render it."""
    label = classes[number].encode("utf-8", "replace").decode()  # file names may contain lone surrogates
    name = " ".join(label.split())
    unaccented_name = "".join(c for c in normalize("NFKD", name) if not combining(c))
    return next((text for text in (name, unaccented_name) if text and _font(text, NAME.size)), f"class {number + 1}")


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
