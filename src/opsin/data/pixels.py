"""Pixels of many images: an array, or a view of images that stay where they are until they are asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

CHUNK_BYTES = 2**24
"""Bytes that are read at a time when all images are gone through."""


class ImageView(ABC):
    """uint8 N×C×H×W that behaves like an array where batches are taken from it, and holds next to no memory.

    `view[numbers]` and `view[first:last]` read those images into a new array, `view[7]` reads one. May be used from
    several threads at once.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, count: int, shape: tuple[int, int, int]) -> None:
        self.shape = (count, *shape)

    @abstractmethod
    def read(self, numbers: NDArray[np.intp]) -> NDArray[np.uint8]:
        """The images of these numbers (each from 0 to N - 1), in this order."""

    @abstractmethod
    def take(self, numbers: NDArray[np.intp]) -> ImageView:
        """A view of some of the images; reads nothing."""

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: int | np.integer | slice | NDArray[np.intp]) -> NDArray[np.uint8]:
        if isinstance(chosen, int | np.integer):
            return self.read(np.array([chosen], np.intp)).squeeze(0)
        return self.read(np.arange(len(self), dtype=np.intp)[chosen])

    def __array__(self, dtype: np.dtype[np.uint8] | None = None, copy: bool | None = None) -> NDArray[np.uint8]:
        """Everything in memory, for who can afford it."""
        return self[:]


Pixels: TypeAlias = NDArray[np.uint8] | ImageView


def take(pixels: Pixels, numbers: NDArray[np.intp]) -> Pixels:
    """Some of the images, from an array as a copy, from a view without reading."""
    return pixels.take(numbers) if isinstance(pixels, ImageView) else pixels[numbers]


def chunks(pixels: Pixels) -> Iterator[NDArray[np.uint8]]:
    """All images in order, so many at a time as `CHUNK_BYTES` holds; an array at once."""
    if not isinstance(pixels, ImageView):
        yield pixels
        return
    count = max(1, CHUNK_BYTES // max(1, int(np.prod(pixels.shape[1:]))))
    for first in range(0, len(pixels), count):
        yield pixels[first : first + count]


def concatenate(parts: list[Pixels]) -> Pixels:
    """The parts one after the other; views stay views."""
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts)
    return ConcatenatedView(parts)


class ConcatenatedView(ImageView):
    """Images of several parts of equal shape, one after the other."""

    def __init__(self, parts: list[Pixels], numbers: NDArray[np.intp] | None = None) -> None:
        self.parts = parts
        self.starts = np.cumsum([0] + [len(part) for part in parts])
        self.numbers = np.arange(self.starts[-1], dtype=np.intp) if numbers is None else numbers
        super().__init__(len(self.numbers), parts[0].shape[1:])

    def read(self, numbers: NDArray[np.intp]) -> NDArray[np.uint8]:
        places = self.numbers[numbers]
        pixels = np.empty((len(places), *self.shape[1:]), np.uint8)
        for part, first, last in zip(self.parts, self.starts, self.starts[1:], strict=False):
            here = np.flatnonzero((places >= first) & (places < last))
            if len(here):
                pixels[here] = part[places[here] - first]
        return pixels

    def take(self, numbers: NDArray[np.intp]) -> ImageView:
        return ConcatenatedView(self.parts, self.numbers[numbers])
