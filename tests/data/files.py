"""Writes small data sets, sound and damaged, for the tests of everything that reads them."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def write_image(path: Path, pixels: NDArray[np.uint8]) -> Path:
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
    """A folder with two class folders of `count` grey images each."""
    for kind in ("lying", "standing"):
        for number in range(count):
            write_image(folder / kind / f"{number}.png", stripes(kind, number, side=side))
    return folder


def write_idx(path: Path, array: NDArray[np.uint8]) -> Path:
    """An IDX file, gzipped if its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    data = header + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_mnist(folder: Path, train: int = 30, test: int = 10, suffix: str = "") -> Path:
    """A folder of four IDX files with 5×6 images of three classes."""
    for part, count in (("train", train), ("t10k", test)):
        write_idx(folder / f"{part}-images-idx3-ubyte{suffix}", noise(count, count, 5, 6))
        write_idx(folder / f"{part}-labels-idx1-ubyte{suffix}", (np.arange(count) % 3).astype(np.uint8))
    return folder


def png(number: int, side: int = 8) -> bytes:
    """A PNG file of its own for each number."""
    file = io.BytesIO()
    Image.fromarray(noise(number, side, side, 3)).save(file, "PNG")
    return file.getvalue()


PLACES = ("folder", "zip", "tar")


def write_entries(folder: Path, place: str, entries: Mapping[str, bytes | str | None]) -> Path:
    """Files by their paths, as they stand, in a folder, a zip or a tar called "data"; None: an empty folder."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {name: data.encode() if isinstance(data, str) else data for name, data in entries.items()}
    path = folder / ("data" if place == "folder" else f"data.{place}")
    if place == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in content.items():
                info = zipfile.ZipInfo("x")
                info.filename = name + "/" if data is None else name
                archive.writestr(info, data or b"")
    elif place == "tar":
        with tarfile.open(path, "w") as tar:
            for name, data in content.items():
                member = tarfile.TarInfo(name)
                member.type, member.size = (tarfile.DIRTYPE, 0) if data is None else (tarfile.REGTYPE, len(data))
                tar.addfile(member, io.BytesIO(data or b""))
    else:
        for name, data in content.items():
            inside = path / name
            (inside if data is None else inside.parent).mkdir(parents=True, exist_ok=True)
            if data is not None:
                inside.write_bytes(data)
    return path


def class_entries(
    pattern: str = "{}/{}.png", classes: Sequence[str] = ("cat", "dog"), count: int = 3
) -> dict[str, bytes]:
    """Images by their paths, which `pattern` makes of class and number."""
    return {
        pattern.format(name, number): png(100 * place + number)
        for place, name in enumerate(classes)
        for number in range(count)
    }
