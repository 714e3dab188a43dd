"""Signals as images, for reports."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

WIDTH, HEIGHT, MARGIN = 192, 112, 6
COLOURS = ("#1f5fa8", "#c2571a", "#2c7a3f", "#8a3f92", "#5c5c5c", "#9a7b00")
MAX_CHANNELS = len(COLOURS)


def render_signal(sample: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the curves of up to six channels (C × 1 × T), each over its own range, uint8 rows × columns × 3."""
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw, channels = ImageDraw.Draw(image), sample[:MAX_CHANNELS, 0]
    band = (HEIGHT - 2 * MARGIN) / len(channels)
    for number, (values, colour) in enumerate(zip(channels, COLOURS, strict=False)):
        low, high = float(values.min()), float(values.max())
        shares = (values - low) / max(high - low, 1e-12)
        columns = np.linspace(MARGIN, WIDTH - MARGIN, len(values))
        rows = MARGIN + band * (number + 0.95 - 0.9 * shares)
        draw.line(list(zip(columns.tolist(), rows.tolist(), strict=True)), colour)
    return np.asarray(image)
