"""Draw detections on an image: a box in the colour of its class, with label and score, which truth does not have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from opsin.base.formatting import percent
from opsin.tasks.detection.answers import Detection

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#f0e442", "#ffffff")
"""Colours that people with colour blindness can tell apart (Okabe and Ito 2008, jfly.uni-koeln.de/color)."""

DARK, LIGHT = "#10151a", "#ffffff"

MIN_SIDE = 480
"""The longer side in pixels from which text is legible; smaller images are enlarged by a whole number."""

FONT_SHARE, MIN_FONT = 1 / 45, 12
"""The size of the text as a share of the longer side, and the smallest in pixels."""

LUMINANCE = (0.299, 0.587, 0.114)
"""The weights of red, green and blue (ITU-R BT.601)."""

Box = tuple[float, float, float, float]
AnyFont = ImageFont.ImageFont | ImageFont.FreeTypeFont


@dataclass(frozen=True)
class _Pen:
    """What is drawn with: sizes depend on the image."""

    canvas: ImageDraw.ImageDraw
    font: AnyFont
    width: int
    """The width of lines in pixels."""
    size: tuple[int, int]
    """Width and height of the image."""


def draw_detections(image: Image.Image, detections: Iterable[Detection], classes: Sequence[str] = ()) -> Image.Image:
    """Return a copy of the image in RGB with the detections, the highest score on top.

    Each of `classes` gets a fixed colour, so that images can be compared; labels that are not among them get the next
    colours. Images with a longer side below `MIN_SIDE` are enlarged, without smoothing, until text is legible.
    """
    ordered = sorted(detections, key=lambda detection: detection.score)
    colours = class_colours([*classes, *sorted({detection.label for detection in ordered})])
    factor = max(1, -(-MIN_SIDE // max(image.size)))
    result = image.convert("RGB").resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    side = max(result.size)
    size = max(MIN_FONT, round(side * FONT_SHARE))
    pen = _Pen(ImageDraw.Draw(result), ImageFont.load_default(size), max(2, round(side / 320)), result.size)
    boxes = [_scaled(detection.box, factor) for detection in ordered]
    for detection, box in zip(ordered, boxes, strict=True):
        _draw_box(pen, box, colours[detection.label])
    taken: list[Box] = []
    for detection, box in reversed(list(zip(ordered, boxes, strict=True))):
        text = detection.label if detection.score == 1 else f"{detection.label} {percent(detection.score)}"
        _draw_label(pen, box, text, colours[detection.label], taken)
    return result


def class_colours(classes: Iterable[str]) -> Mapping[str, str]:
    """Return a colour for each class; from the ninth on they repeat."""
    return {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(dict.fromkeys(classes))}


def _scaled(box: Box, factor: int) -> Box:
    left, top, right, bottom = (value * factor for value in box)
    return min(left, right), min(top, bottom), max(left, right), max(top, bottom)


def _draw_box(pen: _Pen, box: Box, colour: str) -> None:
    """Draw a frame with a thin dark or light edge, so that it shows on any background."""
    left, top, right, bottom = box
    outer = left - 1, top - 1, right + 1, bottom + 1
    pen.canvas.rectangle(outer, outline=_contrast(colour), width=pen.width + 2)
    pen.canvas.rectangle(box, outline=colour, width=pen.width)


def _draw_label(pen: _Pen, box: Box, text: str, colour: str, taken: list[Box]) -> None:
    """Draw text on a field in the colour of the class, where it covers no other label if possible."""
    x0, y0, x1, y1 = pen.canvas.textbbox((0, 0), text, font=pen.font)
    pad = pen.width
    width, height = x1 - x0 + 2 * pad, y1 - y0 + 2 * pad
    places = [_inside(pen.size, place, width, height) for place in _places(box, width, height)]
    place = min(places, key=lambda place: sum(_shared(place, other) for other in taken))
    taken.append(place)
    pen.canvas.rectangle(place, fill=colour, outline=_contrast(colour))
    pen.canvas.text((place[0] + pad - x0, place[1] + pad - y0), text, fill=_contrast(colour), font=pen.font)


def _places(box: Box, width: float, height: float) -> list[tuple[float, float]]:
    """Return places for the upper left corner of a label: above the box, below it, inside, from the left or right."""
    left, top, right, bottom = box
    rows = (top - height, bottom, top, bottom - height)
    return [(column, row) for row in rows for column in (left, right - width)]


def _inside(size: tuple[int, int], place: tuple[float, float], width: float, height: float) -> Box:
    """Return the field of a label, moved into the image."""
    left = max(0.0, min(place[0], size[0] - 1 - width))
    top = max(0.0, min(place[1], size[1] - 1 - height))
    return left, top, left + width, top + height


def _shared(a: Box, b: Box) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height)


def _contrast(colour: str) -> str:
    """Return black or white, whichever is easier to read on a colour."""
    parts = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    brightness = sum(weight * part for weight, part in zip(LUMINANCE, parts, strict=True))
    return DARK if brightness > 140 else LIGHT
