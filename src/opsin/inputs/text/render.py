"""Texts as images, for contact sheets, and as HTML with the words that decided, for reports."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from textwrap import wrap

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from opsin.inputs.occlusion import colour

COLUMNS, LINES = 30, 8

MIN_SHOWN = 0.15
"""Parts that matter less than this, compared to the one that matters most, are not marked."""

SIDE, MARGIN, SIZE = 192, 8, 13


def render_text(tokens: Sequence[str], spaced: bool) -> NDArray[np.uint8]:
    """Return the beginning of a text, black on white, uint8 rows × columns × 3. `spaced` tokens are words."""
    image = Image.new("RGB", (SIDE, SIDE), "white")
    lines = wrap((" " if spaced else "").join(tokens), COLUMNS, max_lines=LINES, placeholder=" …")
    font = ImageFont.load_default(SIZE)
    ImageDraw.Draw(image).multiline_text((MARGIN, MARGIN), "\n".join(lines), "black", font=font, spacing=6)
    return np.asarray(image)


def text_html(tokens: Sequence[str], spaced: bool, importance: NDArray[np.float64] | None = None) -> str:
    """Return a text as HTML. `importance` is that of the parts into which `Text.occluded` divides its tokens."""
    space = " " if spaced else ""
    values = np.zeros(len(tokens)) if importance is None else importance
    parts = np.array_split(np.arange(len(tokens)), max(1, len(values)))
    shown = []
    for part, value in zip(parts, values.tolist(), strict=False):
        text = escape(space.join(tokens[number] for number in part.tolist()))
        shown.append(f'<mark style="background:{colour(value)}">{text}</mark>' if abs(value) >= MIN_SHOWN else text)
    return f'<q class="words">{space.join(shown)}</q>'
