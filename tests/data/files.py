"""Writes small data sets, sound and damaged, for the tests of everything that reads them."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def write_picture(path: Path, pixels: NDArray[np.uint8]) -> Path:
    """A file of H×W or H×W×3 uint8, of the kind that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def noise(seed: int, *shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def stripes(kind: str, number: int, side: int = 12) -> NDArray[np.uint8]:
    """Lying or standing grey stripes, an easy thing to tell apart."""
    line = np.where((np.arange(side) + number) % 4 < 2, 220, 30).astype(np.uint8)
    rows = np.repeat(line[:, None], side, axis=1)
    return (rows if kind == "lying" else rows.T) + noise(number, side, side) // 10


def write_stripes(folder: Path, count: int = 20, side: int = 12) -> Path:
    """A folder with two class folders of `count` grey pictures each."""
    for kind in ("lying", "standing"):
        for number in range(count):
            write_picture(folder / kind / f"{number}.png", stripes(kind, number, side=side))
    return folder


def write_idx(path: Path, array: NDArray[np.uint8]) -> Path:
    """An IDX file, gzipped if its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    data = header + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_mnist(folder: Path, train: int = 30, test: int = 10, suffix: str = "") -> Path:
    """A folder of four IDX files with 5×6 pictures of three classes."""
    for part, count in (("train", train), ("t10k", test)):
        write_idx(folder / f"{part}-images-idx3-ubyte{suffix}", noise(count, count, 5, 6))
        write_idx(folder / f"{part}-labels-idx1-ubyte{suffix}", (np.arange(count) % 3).astype(np.uint8))
    return folder
