"""Rows as images, for contact sheets, and as HTML, for reports."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from opsin.data.several.columns import Column
from opsin.inputs.occlusion import colour, figure_html
from opsin.inputs.registry import IMAGE, NUMBER, TEXT

SIDE, MARGIN, LINE, CHARACTERS = 192, 6, 18, 30
MIN_SHOWN = 0.15
"""Columns that matter less than this, compared to the one that matters most, are not marked."""


def cell_text(column: Column, cell: NDArray[Any] | None) -> str | None:
    """Return a cell as a text; None if it is an image, a recording or a signal."""
    if cell is None:
        return "(empty)"
    if column.kind.kind == TEXT:
        return str((" " if column.kind.unit == "words" else "").join(column.kind.words_of(cell)))
    return str(column.kind.text(cell)) if column.kind.kind == NUMBER else None


def render_cells(cells: Sequence[tuple[Column, NDArray[Any] | None]]) -> NDArray[np.uint8]:
    """Return the first image, recording or signal of a row above its texts and numbers, uint8 rows × columns × 3."""
    texts = [f"{column.name}: {text}" for column, cell in cells if (text := cell_text(column, cell)) is not None]
    files = [(column, cell) for column, cell in cells if cell is not None and cell_text(column, cell) is None]
    sheet = Image.new("RGB", (SIDE, SIDE), "white")
    height = SIDE - LINE * len(texts) - (MARGIN if texts else 0)
    if files and height > LINE:
        image = Image.fromarray(_pixels(*files[0]))
        share = min(SIDE / image.width, height / image.height)
        size = max(1, round(image.width * share)), max(1, round(image.height * share))
        sheet.paste(image.resize(size), ((SIDE - size[0]) // 2, 0))
    font, top = ImageFont.load_default(12), max(0, height) if files else MARGIN
    for number, text in enumerate(texts):
        ImageDraw.Draw(sheet).text((MARGIN, top + LINE * number), text[:CHARACTERS], "black", font=font)
    return np.asarray(sheet)


def cell_html(name: str, column: Column, cell: NDArray[Any] | None, importance: float) -> str:
    """Return a cell under the name of its column, which is marked if the answer rests on it."""
    text = cell_text(column, cell)
    content = escape(text) if text is not None else figure_html(_pixels(column, cell))
    style = f' style="background:{colour(importance)}"' if abs(importance) >= MIN_SHOWN else ""
    return f'<div class="cell"><mark class="words"{style}>{name}</mark> {content}</div>'


def _pixels(column: Column, cell: Any) -> NDArray[np.uint8]:
    """Return the image of a cell, uint8 rows × columns × 3."""
    if column.kind.kind != IMAGE:
        pixels: NDArray[np.uint8] = column.kind.render(cell)
        return pixels
    return np.ascontiguousarray(np.broadcast_to(cell, (3, *cell.shape[1:])).transpose(1, 2, 0))
