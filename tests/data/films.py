"""Generated films: a camera that turns, and how far it turned at each frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 80
MAX_SHIFT = 4
BLOCK = 16
"""The side of the squares that make neighbours alike."""


def film(count: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return frames uint8 N × 3 × 80 × 80 and the columns by which each is shifted to the left of the one before."""
    rng = np.random.default_rng(seed)
    angles = np.repeat(rng.integers(-MAX_SHIFT, MAX_SHIFT + 1, -(-count // 5)), 5)[:count]
    places = np.cumsum(angles)
    columns, starts = int(np.ptp(places)) + SIDE, places - places.min()
    blocks = rng.integers(0, 200, (3, SIDE // BLOCK, columns // BLOCK + 1)).repeat(BLOCK, axis=1).repeat(BLOCK, axis=2)
    wide = (blocks[:, :, :columns] + rng.integers(0, 56, (3, SIDE, columns))).astype(np.uint8)
    return np.stack([wide[:, :, start : start + SIDE] for start in starts]), angles.astype(np.float64)


def write_film(folder: Path, count: int, seed: int = 0, column: str = "steering") -> Path:
    """Write the frames as PNG files, with a table of the shifts in the order of time."""
    frames, angles = film(count, seed)
    folder.mkdir(parents=True)
    lines = [f"image,{column}"]
    for number, (frame, angle) in enumerate(zip(frames, angles, strict=True)):
        Image.fromarray(frame.transpose(1, 2, 0)).save(folder / f"frame{number:04}.png")
        lines.append(f"frame{number:04}.png,{angle / 10 + 0.01}")
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    return folder
