"""Segmentation data in memory."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opsin.base.errors import DataError
from opsin.tasks.annotations import Annotations
from opsin.tasks.segmentation.reader import read


@dataclass
class MemoryFiles:
    contents: Mapping[str, bytes]
    name: str = "memory"
    paths: Sequence[str] = field(init=False)

    def __post_init__(self) -> None:
        self.paths = sorted(self.contents)

    def read(self, path: str) -> bytes:
        if path not in self.contents:
            raise DataError(f"{path} does not exist")
        return self.contents[path]

    def image_size(self, path: str) -> tuple[int, int] | None:
        try:
            with Image.open(io.BytesIO(self.contents[path])) as image:
                return image.height, image.width
        except (OSError, ValueError):
            return None

    def annotations(self) -> Annotations:
        found = read(self, self.image_size)
        assert found is not None
        return found


def png(values: Any, palette: Sequence[int] = (), format: str = "PNG", **options: Any) -> bytes:
    """An image of the array, uint8, uint16 or bool, with colours if it has three axes."""
    image = Image.fromarray(np.asarray(values))
    if palette:
        image.putpalette(list(palette))
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def photo(height: int = 6, width: int = 8) -> bytes:
    return png(np.full((height, width, 3), 90, np.uint8))


def grey(*rows: Sequence[int], height: int = 6, width: int = 8, dtype: Any = np.uint8) -> NDArray[Any]:
    """A mask 6 × 8 of 0 whose first rows begin with the given values."""
    mask = np.zeros((height, width), dtype)
    for i, row in enumerate(rows):
        mask[i, : len(row)] = row
    return mask


def folders(masks: Mapping[str, bytes], **others: bytes) -> MemoryFiles:
    """A photo in images/ and a mask in masks/ for each name."""
    contents = {f"images/{name}.png": photo() for name in masks}
    return MemoryFiles(contents | {f"masks/{name}.png": mask for name, mask in masks.items()} | others)
