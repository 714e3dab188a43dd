"""Folders of small films that a network can learn to tell apart."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SIDE = 48


def film(frames: Any, rate: int = 10, format: str = "mp4", codec: str = "mpeg4", width: int = SIDE) -> bytes:
    """Return a film of frames uint8 rows × columns × 3."""
    av = pytest.importorskip("av")
    file = BytesIO()
    with av.open(file, "w", format=format) as container:
        stream = container.add_stream(codec, rate=Fraction(rate))
        stream.width, stream.height, stream.pix_fmt = width, SIDE, "yuv420p"
        stream.options = {"qscale": "2"}
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def square(moves: bool, count: int, rng: np.random.Generator) -> list[Any]:
    """Return the frames of a bright square on noise that moves to the right, or not at all."""
    row, column = rng.integers(4, 28), rng.integers(2, 8)
    background = rng.integers(0, 60, (SIDE, SIDE, 3))
    frames = []
    for number in range(count):
        pixels = background.astype(np.uint8)
        left = column + (2 * number if moves else 0)
        pixels[row : row + 12, left : left + 12] = 230
        frames.append(pixels)
    return frames


def write_films(folder: Path, count: int, classes: tuple[str, str] = ("moving", "still")) -> Path:
    """Write films of moving and of still squares, `count` of each, a second long."""
    rng = np.random.default_rng(0)
    for label in classes:
        (folder / label).mkdir(parents=True)
        for number in range(count):
            (folder / label / f"{number}.mp4").write_bytes(film(square(label == classes[0], 10, rng)))
    return folder
