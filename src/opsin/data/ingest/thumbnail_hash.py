"""How an image looks from afar, in a few hundred bytes: enough to know it again."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 16, 18
HASH_BYTES = HEIGHT * WIDTH + 3
"""Bytes of a look: a grey thumbnail, then the mean of red, green and blue."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""The shares of red, green and blue in grey: ITU-R BT.601."""


MAX_CELL_SAMPLES = 7
"""So many rows, and so many columns, of each cell of the thumbnail are enough."""


def thumbnail_hash(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], bool]:
    """The look of uint8 C×H×W with one channel or three, and whether its channels are all the same."""
    channels, height, width = pixels.shape
    rows, columns = _sampled(height, HEIGHT), _sampled(width, WIDTH)
    sums = pixels[:, rows].reshape(channels, HEIGHT, -1, width).sum(axis=2, dtype=np.uint16)
    cells = sums[:, :, columns].reshape(channels, HEIGHT * WIDTH, -1).sum(axis=2, dtype=np.float32)
    cells *= HEIGHT * WIDTH / (len(rows) * len(columns))
    thumbnails = np.broadcast_to(cells, (3, HEIGHT * WIDTH))
    found = np.empty(HASH_BYTES, np.uint8)
    found[:-3] = np.rint(LUMA @ thumbnails)
    found[-3:] = np.rint(thumbnails.mean(axis=1))
    colourless = channels == 1 or bool((cells == cells[0]).all() and (pixels == pixels[:1]).all())
    return found, colourless


@cache
def _sampled(side: int, cells: int) -> NDArray[np.intp]:
    """Rows, or columns, of an image: as many evenly spread ones in each of the cells."""
    each = min(MAX_CELL_SAMPLES, -(-side // cells))
    return ((np.arange(cells * each) + 0.5) * side / (cells * each)).astype(np.intp)


def thumbnail_hashes(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The looks of uint8 N×C×H×W, N×`HASH_BYTES`, many at a time; `thumbnail_hash`'s up to how edges are shared."""
    count, channels, height, width = pixels.shape
    down, across = _box(HEIGHT, height), _box(WIDTH, width).T
    found = np.empty((count, HASH_BYTES), np.uint8)
    for first in range(0, count, 1024):
        some = (down @ pixels[first : first + 1024].astype(np.float32) @ across).reshape(-1, channels, HEIGHT * WIDTH)
        thumbnails = np.broadcast_to(some, (len(some), 3, HEIGHT * WIDTH))
        found[first : first + 1024, :-3] = np.rint(np.einsum("c,ncp->np", LUMA, thumbnails))
        found[first : first + 1024, -3:] = np.rint(thumbnails.mean(axis=2))
    return found


def _box(cells: int, side: int) -> NDArray[np.float32]:
    """The matrix that averages `side` pixels into `cells` of equal width."""
    edges = np.linspace(0, side, cells + 1)
    pixel = np.arange(side)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    shares: NDArray[np.float32] = (np.maximum(overlap, 0) * (cells / side)).astype(np.float32)
    return shares
