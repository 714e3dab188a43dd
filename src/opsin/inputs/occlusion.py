"""Which parts of a sample an answer rests on: copies with one part hidden each (Zeiler & Fergus 2014), and how the
result is shown.
"""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

STRETCHES = 24
"""Parts into which the time of a sample is divided."""

WIDTH, HEIGHT = 192, 10
"""The size of a strip of importance, in pixels of an image of a sample."""


def hidden_stretches(sample: NDArray[Any], value: Any, count: int = STRETCHES) -> NDArray[Any]:
    """Return copies of a sample C × H × T, in each of which one stretch of time has the value, K × C × H × T.

    `value` is a number, or an array that is broadcast to C × H × T. K is `count`, or T if that is smaller.
    """
    parts = np.array_split(np.arange(sample.shape[-1]), min(count, sample.shape[-1]))
    copies = np.repeat(sample[None], len(parts), axis=0)
    for copy, part in zip(copies, parts, strict=True):
        copy[..., part] = np.broadcast_to(value, sample.shape)[..., part]
    return copies


def colour(importance: float) -> str:
    """Return the CSS colour of a part: orange if it speaks for the answer (1), blue if it speaks against it (-1)."""
    hue = "240,120,20" if importance > 0 else "40,110,220"
    return f"rgba({hue},{min(1.0, abs(importance)) * 0.65:.2f})"


def strip(importance: NDArray[np.float64]) -> str:
    """Return the importance of stretches of time, -1 to 1 each, as an SVG image."""
    width = WIDTH / max(1, len(importance))
    bars = "".join(
        f'<rect x="{number * width:.1f}" width="{width + 0.1:.1f}" height="{HEIGHT}" fill="{colour(value)}"/>'
        for number, value in enumerate(importance.tolist())
    )
    return (
        f'<svg class="strip-of-time" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="which moments speak for the answer (orange) and against it (blue)">{bars}</svg>'
    )


def figure_html(image: NDArray[np.uint8]) -> str:
    """Return an image, uint8 rows × columns × 3, as an HTML element."""
    file = BytesIO()
    Image.fromarray(image).save(file, "PNG", optimize=True)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return f'<img src="data:image/png;base64,{data}" alt="" loading="lazy">'
