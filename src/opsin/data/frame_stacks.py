"""Stacks of frames: each image of a film together with those before it, for networks that see movement."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opsin.data.pixels import ImageView, Pixels


class FrameStacks(ImageView):
    """Images with those before them as further channels: uint8 N × (frames · C) × H × W, the image itself first.

    `rows` are N × frames: the numbers of the images in `pixels`.
    """

    def __init__(self, pixels: Pixels, rows: NDArray[np.intp]) -> None:
        _, channels, height, width = pixels.shape
        super().__init__(len(rows), (rows.shape[1] * channels, height, width))
        self.pixels, self.rows = pixels, rows

    @property
    def frames(self) -> int:
        """The images in a stack."""
        return int(self.rows.shape[1])

    @property
    def current(self) -> Pixels:
        """The image itself of each stack, uint8 N×C×H×W."""
        rows = self.rows[:, 0]
        return self.pixels.take(rows) if isinstance(self.pixels, ImageView) else self.pixels[rows]

    def read(self, indices: NDArray[np.intp]) -> NDArray[np.uint8]:
        return self.pixels[self.rows[indices].reshape(-1)].reshape(len(indices), *self.shape[1:])

    def take(self, indices: NDArray[np.intp]) -> FrameStacks:
        return FrameStacks(self.pixels, self.rows[indices])


def rows_by_position(positions: NDArray[np.int64], frames: int) -> NDArray[np.intp]:
    """Return the numbers of each image and of those before it, N × frames, by their places in the order of time.

    Where an image is missing, the one after it takes its place, which looks like a camera at rest.
    """
    order = np.argsort(positions, kind="stable")
    follows = np.flatnonzero(np.diff(positions[order]) == 1)
    previous = np.arange(len(positions), dtype=np.intp)
    previous[order[follows + 1]] = order[follows]
    rows = [np.arange(len(positions), dtype=np.intp)]
    for _ in range(frames - 1):
        rows.append(previous[rows[-1]])
    return np.stack(rows, axis=1)


class FrameHistory:
    """The last images of a film whose images arrive in parts; the first image also stands for those before it."""

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self._before: NDArray[np.uint8] | None = None

    def stack(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the next images, uint8 N×C×H×W, with those before them as further channels."""
        if self.frames == 1 or not len(pixels):
            return pixels
        before = np.repeat(pixels[:1], self.frames - 1, axis=0) if self._before is None else self._before
        film = np.concatenate([before, pixels])
        self._before = film[len(film) - self.frames + 1 :]
        rows = np.arange(self.frames - 1, len(film))[:, None] - np.arange(self.frames)
        return FrameStacks(film, rows)[:]
