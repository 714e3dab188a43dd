"""Draw on images: a copy large enough for text, and captions on a dark field."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

MIN_SIDE = 480
"""The longer side in pixels from which text is legible; smaller images are enlarged by a whole number."""

FONT_SHARE, MIN_FONT = 1 / 24, 12
"""The size of the text as a share of the longer side, and the smallest in pixels."""

FIELD, TEXT = (16, 21, 26, 190), (255, 255, 255, 255)

AnyFont = ImageFont.ImageFont | ImageFont.FreeTypeFont


def enlarged(image: Image.Image) -> Image.Image:
    """Return a copy of an image in RGB, enlarged by a whole number, without smoothing, until text is legible."""
    factor = max(1, -(-MIN_SIDE // max(image.size)))
    return image.convert("RGB").resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def font_of(size: tuple[int, int]) -> AnyFont:
    """Return a font for an image of this width and height."""
    return ImageFont.load_default(max(MIN_FONT, round(max(size) * FONT_SHARE)))


def add_caption(image: Image.Image, lines: Sequence[str]) -> None:
    """Write lines into the lower left corner of an RGB image; what is too long ends with an ellipsis."""
    canvas = ImageDraw.Draw(image, "RGBA")
    font = font_of(image.size)
    pad = max(3, round(max(image.size) / 120))
    text = "\n".join(_fitted(canvas, line, font, image.width - 4 * pad) for line in lines)
    left, top, right, bottom = canvas.multiline_textbbox((0, 0), text, font=font)
    corner = (pad, image.height - 3 * pad - (bottom - top))
    canvas.rectangle((*corner, corner[0] + right - left + 2 * pad, image.height - pad), fill=FIELD)
    canvas.multiline_text((corner[0] + pad - left, corner[1] + pad - top), text, fill=TEXT, font=font)


def _fitted(canvas: ImageDraw.ImageDraw, text: str, font: AnyFont, width: float) -> str:
    """Return a line, cut to a width in pixels."""
    if canvas.textlength(text, font=font) <= width:
        return text
    while len(text) > 1 and canvas.textlength(f"{text}…", font=font) > width:
        text = text[:-1]
    return f"{text}…"
