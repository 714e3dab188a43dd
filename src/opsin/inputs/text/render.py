"""Texts as images, for contact sheets and reports."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

COLUMNS, LINES = 30, 8
SIDE, MARGIN, SIZE = 192, 8, 13


def render_text(tokens: Sequence[str], spaced: bool) -> NDArray[np.uint8]:
    """Return the beginning of a text, black on white, uint8 rows × columns × 3. `spaced` tokens are words."""
    image = Image.new("RGB", (SIDE, SIDE), "white")
    lines = wrap((" " if spaced else "").join(tokens), COLUMNS, max_lines=LINES, placeholder=" …")
    font = ImageFont.load_default(SIZE)
    ImageDraw.Draw(image).multiline_text((MARGIN, MARGIN), "\n".join(lines), "black", font=font, spacing=6)
    return np.asarray(image)
