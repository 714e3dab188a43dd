"""The pixels of many images: an array, or a view that reads images when they are accessed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

CHUNK_BYTES = 2**24
"""Bytes that are read at a time when iterating over all images."""


class ImageView(ABC):
    """uint8 N×C×H×W on disk or computed on access, indexed like an array along its first axis.

    `view[indices]` and `view[first:last]` read these images into a new array, `view[7]` reads one. Views are
    thread-safe.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4
    compact = False
    """Whether the view is in memory already, and takes less than an array of its images would."""

    def __init__(self, count: int, shape: tuple[int, int, int]) -> None:
        self.shape = (count, *shape)

    @abstractmethod
    def read(self, indices: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Read the images with these indices (0 to N - 1), in this order."""

    @abstractmethod
    def take(self, indices: NDArray[np.intp]) -> ImageView:
        """Return a view of the images with these indices, without reading them."""

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: int | np.integer | slice | NDArray[np.intp]) -> NDArray[np.uint8]:
        if isinstance(key, int | np.integer):
            return self.read(np.array([key], np.intp)).squeeze(0)
        return self.read(np.arange(len(self), dtype=np.intp)[key])

    def __array__(self, dtype: np.dtype[np.uint8] | None = None, copy: bool | None = None) -> NDArray[np.uint8]:
        """Read all images into memory."""
        return self[:]


Pixels: TypeAlias = NDArray[np.uint8] | ImageView


def take(pixels: Pixels, indices: NDArray[np.intp]) -> Pixels:
    """Return the images with these indices: a copy of an array, or a view of a view, without reading."""
    return pixels.take(indices) if isinstance(pixels, ImageView) else pixels[indices]


def chunks(pixels: Pixels) -> Iterator[NDArray[np.uint8]]:
    """Yield all images in order, `CHUNK_BYTES` at a time; an array is yielded whole."""
    if not isinstance(pixels, ImageView):
        yield pixels
        return
    count = max(1, CHUNK_BYTES // max(1, int(np.prod(pixels.shape[1:]))))
    for first in range(0, len(pixels), count):
        yield pixels[first : first + count]


def concatenate(parts: list[Pixels]) -> Pixels:
    """Concatenate images of equal shape; the result is a view if any part is one."""
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts)
    return ConcatenatedView(parts)


class ConcatenatedView(ImageView):
    """The concatenation of several arrays or views of images of equal shape."""

    def __init__(self, parts: list[Pixels], indices: NDArray[np.intp] | None = None) -> None:
        self.parts = parts
        self.starts = np.cumsum([0] + [len(part) for part in parts])
        self.indices = np.arange(self.starts[-1], dtype=np.intp) if indices is None else indices
        super().__init__(len(self.indices), parts[0].shape[1:])

    def read(self, indices: NDArray[np.intp]) -> NDArray[np.uint8]:
        rows = self.indices[indices]
        pixels = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for part, first, last in zip(self.parts, self.starts, self.starts[1:], strict=False):
            selected = np.flatnonzero((rows >= first) & (rows < last))
            if len(selected):
                pixels[selected] = part[rows[selected] - first]
        return pixels

    def take(self, indices: NDArray[np.intp]) -> ImageView:
        return ConcatenatedView(self.parts, self.indices[indices])
