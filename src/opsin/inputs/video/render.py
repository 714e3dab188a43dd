"""Clips as images, for reports: key frames next to each other, in the order of time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE, COLUMNS, ROWS = 64, 3, 2
"""The side of a key frame in pixels, and how many are shown."""


def render_clip(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return up to six frames of T × S × S × 3 at even intervals, row by row, uint8 rows × columns × 3."""
    count = min(len(frames), COLUMNS * ROWS)
    columns = min(count, COLUMNS)
    sheet = np.full((-(-count // columns) * SIDE, columns * SIDE, 3), 255, np.uint8)
    for place in range(count):
        number = round((place + 0.5) * len(frames) / count - 0.5)
        frame = Image.fromarray(frames[number]).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        row, column = divmod(place, columns)
        sheet[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE] = np.asarray(frame)
    return sheet
