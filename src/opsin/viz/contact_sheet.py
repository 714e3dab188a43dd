"""A contact sheet: what training will show a network of its images, a row a class."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from unicodedata import combining, normalize

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from opsin.data import LabeledImages, Preprocessing
from opsin.data.augment import Augmentation, Augmenter
from opsin.data.augment.apply import Targets

MOST_ROWS = 24
"""Classes that are shown; of more, these many spread evenly."""

VERSIONS = 8
"""Changed images beside each."""

CELL, GAP, MARGIN, NAMES = 128, 6, 16, 168
"""Pixels: the largest side of an image, the space between two, that around all, and the width of the names."""

INK, FAINT, PAPER = (24, 24, 27), (96, 96, 105), (255, 255, 255)

FONTS = (
    "NotoSans-Regular.ttf", "DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "NotoSansSC-Regular.otf", "Arial Unicode.ttf",
    "PingFang.ttc", "msyh.ttc", "seguisym.ttf", "arial.ttf",
)  # fmt: skip
"""The system's fonts that are tried, in this order, for a name that Pillow's own cannot write."""

MISSING = "\U0010fffe"
"""A character that no font has."""

AnyFont = ImageFont.ImageFont | ImageFont.FreeTypeFont


@dataclass(frozen=True)
class Style:
    """How a line is written: the size of its letters in pixels, and what of it lies at its place (Pillow's anchors)."""

    size: int
    colour: tuple[int, int, int]
    anchor: str


NAME, HEAD, CAPTION = Style(16, INK, "lm"), Style(16, FAINT, "ls"), Style(12, FAINT, "lt")


@dataclass(frozen=True)
class Row:
    """A class: its name, its image as it is kept (H×W×C), what is seen of it, and a caption to each of these."""

    name: str
    kept: NDArray[np.uint8]
    seen: list[NDArray[np.uint8]]
    captions: list[str]


def contact_sheet(
    images: LabeledImages, preprocessing: Preprocessing, policy: Augmentation, versions: int = VERSIONS, seed: int = 0
) -> Image.Image:
    """The first image of each class: as it is kept, and in `versions` epochs as the network sees it.

    Mixed images are mixed with that of the next row, and say what they count as. Of more than `MOST_ROWS` classes
    some are shown. A name that no font here can write loses its accents, or becomes the class's number, from 1.
    """
    rows = _rows(images, preprocessing, policy, versions, seed)
    caption = CAPTION.size + GAP if policy.mixes else 0
    height, width = (max(side) for side in zip(_size(images.shape), _size(preprocessing.shape), strict=True))
    head, line = MARGIN + HEAD.size + GAP, height + caption + GAP
    left = MARGIN + NAMES
    sheet = Image.new(
        "RGB", (left + (versions + 1) * (width + GAP) + GAP + MARGIN, head + line * len(rows) + MARGIN), PAPER
    )
    pen = ImageDraw.Draw(sheet)
    first = left + width + 3 * GAP
    for text, place in (("as kept", left), ("as the network sees it", first)):
        _write(pen, text, (place, head - GAP), NAMES, HEAD)
    for number, row in enumerate(rows):
        top = head + number * line
        _write(pen, row.name, (MARGIN, top + height // 2), NAMES - GAP, NAME)
        _paste(sheet, row.kept, left, top)
        for column, (image, text) in enumerate(zip(row.seen, row.captions, strict=True)):
            place = first + column * (width + GAP)
            _paste(sheet, image, place, top)
            _write(pen, text, (place, top + height + GAP // 2), width, CAPTION)
    return sheet


def _rows(
    images: LabeledImages, preprocessing: Preprocessing, policy: Augmentation, versions: int, seed: int
) -> list[Row]:
    """Of each class shown, its first image, through all the epochs."""
    present, firsts = np.unique(images.labels, return_index=True)
    chosen = np.unique(np.linspace(0, len(present) - 1, min(MOST_ROWS, len(present))).astype(np.intp))
    labels, pixels = present[chosen].astype(np.int32), images.pixels[firsts[chosen]]
    augmenter = Augmenter(policy, preprocessing, images.shape[1:], len(images.classes), seed)
    scale, shift = (factor.reshape(-1, 1, 1) for factor in preprocessing.scale_and_shift)
    seen, captions = [], []
    for epoch in range(1, versions + 1):
        shown, targets = augmenter(pixels, labels, len(labels), epoch, 0)
        values = np.clip(np.rint((shown - shift) / scale), 0, 255).astype(np.uint8)
        seen.append(values.transpose(0, 2, 3, 1))
        captions.append(_captions(targets, labels, images.classes) if policy.mixes else [""] * len(labels))
    names = [_name(images.classes, label) for label in labels]
    versions_of, captions_of = zip(*seen, strict=True), zip(*captions, strict=True)
    kept = [image.transpose(1, 2, 0) for image in pixels]
    return [Row(*parts) for parts in zip(names, kept, map(list, versions_of), map(list, captions_of), strict=True)]


def _captions(targets: Targets, labels: NDArray[np.int32], classes: tuple[str, ...]) -> list[str]:
    """What mixed images count as besides their own class; nothing for whole ones."""
    others = np.array(targets)
    others[np.arange(len(labels)), labels] = 0
    found = others.argmax(axis=1)
    return [f"+ {row[c]:.0%} {_name(classes, c)}" if row[c] else "" for row, c in zip(others, found, strict=True)]


def _size(shape: tuple[int, int, int]) -> tuple[int, int]:
    """Height and width at which an image of `shape` is shown: tiny ones magnified whole times, large ones reduced."""
    _, height, width = shape
    if max(height, width) <= CELL:
        times = CELL // max(height, width)
        return times * height, times * width
    return max(1, CELL * height // max(height, width)), max(1, CELL * width // max(height, width))


def _paste(sheet: Image.Image, pixels: NDArray[np.uint8], left: int, top: int) -> None:
    """Puts an H×W×C image there, in the size it is shown in."""
    rows, columns = _size((pixels.shape[2], pixels.shape[0], pixels.shape[1]))
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else np.ascontiguousarray(pixels[:, :, :3]))
    larger = rows >= image.height
    image = image.resize((columns, rows), Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS)
    sheet.paste(image, (left, top))


def _write(pen: ImageDraw.ImageDraw, text: str, place: tuple[int, int], width: int, style: Style) -> None:
    """One line that ends in … where it would be wider than `width`."""
    font = _font(text, style.size) or _fonts(style.size)[0]
    while pen.textlength(text, font) > width:
        text = text.removesuffix("…")[:-1] + "…"
    pen.text(place, text, style.colour, font, anchor=style.anchor)


def _name(classes: tuple[str, ...], number: int) -> str:
    """The class's name as one line; without its accents, or its number, where no font here can write it."""
    whole = classes[number].encode("utf-8", "replace").decode()  # names of files may hold halves of characters
    name = " ".join(whole.split())
    plain = "".join(c for c in normalize("NFKD", name) if not combining(c))
    return next((text for text in (name, plain) if text and _font(text, NAME.size)), f"class {number + 1}")


def _font(text: str, size: int) -> AnyFont | None:
    """The first font that can write `text`."""
    return next((font for font in _fonts(size) if _can_write(font, text)), None)


@cache
def _fonts(size: int) -> list[AnyFont]:
    """Pillow's own font, and the system's that there are."""
    found: list[AnyFont] = [ImageFont.load_default(size)]
    for name in FONTS:
        with suppress(OSError):  # not on this machine
            found.append(ImageFont.truetype(name, size))
    return found


def _can_write(font: AnyFont, text: str) -> bool:
    """Whether the font has a shape of its own for every character."""
    missing = _shape(font, MISSING)
    return all(character.isspace() or _shape(font, character) != missing for character in set(text))


def _shape(font: AnyFont, character: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(character)
    return mask.size, bytes(mask)
