"""Thumbnail hashes: a grey thumbnail and a mean colour in a few hundred bytes, enough to find near-duplicates."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 16, 18
HASH_BYTES = HEIGHT * WIDTH + 3
"""Bytes of a hash: a grey thumbnail, then the means of red, green and blue."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in luma (ITU-R BT.601)."""

MAX_CELL_SAMPLES = 7
"""Rows and columns that are sampled in each cell of the thumbnail."""

CHUNK = 1024
"""The number of images per block."""


def thumbnail_hash(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], bool]:
    """Return the hash of uint8 C×H×W with one or three channels, and whether all channels are equal."""
    channels, height, width = pixels.shape
    rows, columns = _samples(height, HEIGHT), _samples(width, WIDTH)
    sums = pixels[:, rows].reshape(channels, HEIGHT, -1, width).sum(axis=2, dtype=np.uint16)
    cells = sums[:, :, columns].reshape(channels, HEIGHT * WIDTH, -1).sum(axis=2, dtype=np.float32)
    cells *= HEIGHT * WIDTH / (len(rows) * len(columns))
    thumbnails = np.broadcast_to(cells, (3, HEIGHT * WIDTH))
    result = np.empty(HASH_BYTES, np.uint8)
    result[:-3] = np.rint(LUMA @ thumbnails)
    result[-3:] = np.rint(thumbnails.mean(axis=1))
    grey = channels == 1 or bool((cells == cells[0]).all() and (pixels == pixels[:1]).all())
    return result, grey


def mirrored(hashes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the hashes (N×`HASH_BYTES`) of the mirror images."""
    cells = hashes[:, :-3].reshape(-1, HEIGHT, WIDTH)[:, :, ::-1].reshape(-1, HEIGHT * WIDTH)
    return np.concatenate([cells, hashes[:, -3:]], axis=1)


@cache
def _samples(side: int, cells: int) -> NDArray[np.intp]:
    """Return evenly spaced rows or columns of an image, equally many in each cell."""
    count = min(MAX_CELL_SAMPLES, -(-side // cells))
    return ((np.arange(cells * count) + 0.5) * side / (cells * count)).astype(np.intp)


def thumbnail_hashes(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the hashes of uint8 N×C×H×W, N×`HASH_BYTES`.

    They average all pixels, those at cell borders by area, and so may differ slightly from `thumbnail_hash`.
    """
    count, channels, height, width = pixels.shape
    average_rows, average_columns = _box_filter(HEIGHT, height), _box_filter(WIDTH, width).T
    result = np.empty((count, HASH_BYTES), np.uint8)
    for first in range(0, count, CHUNK):
        chunk = pixels[first : first + CHUNK].astype(np.float32)
        cells = (average_rows @ chunk @ average_columns).reshape(-1, channels, HEIGHT * WIDTH)
        thumbnails = np.broadcast_to(cells, (len(cells), 3, HEIGHT * WIDTH))
        result[first : first + CHUNK, :-3] = np.rint(np.einsum("c,ncp->np", LUMA, thumbnails))
        result[first : first + CHUNK, -3:] = np.rint(thumbnails.mean(axis=2))
    return result


def _box_filter(cells: int, side: int) -> NDArray[np.float32]:
    """Return the matrix that averages `side` pixels into `cells` of equal width."""
    edges = np.linspace(0, side, cells + 1)
    pixel = np.arange(side)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    shares: NDArray[np.float32] = (np.maximum(overlap, 0) * (cells / side)).astype(np.float32)
    return shares
