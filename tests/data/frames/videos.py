"""Writes small videos."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from opsin.data.frames import VideoWriter

RATE = Fraction(30000, 1001)


def grey(level: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    return Image.new("RGB", size, (level, level, level))


def levels(frames: list[Image.Image]) -> list[int]:
    """The mean grey of each frame, in steps of 10, which no encoder changes."""
    return [round(float(np.asarray(frame).mean()) / 10) * 10 for frame in frames]


def write_video(path: Path, count: int = 12, size: tuple[int, int] = (64, 48), rate: Fraction = RATE) -> Path:
    """A video of frames that become lighter: 10, 20, 30, …"""
    writer = VideoWriter(str(path), rate)
    for number in range(count):
        writer.add(grey(10 * (number + 1), size), float(number / rate))
    assert writer.commit()
    return path
