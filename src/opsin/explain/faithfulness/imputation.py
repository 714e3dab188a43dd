"""Noisy linear imputation: removed pixels become weighted means of their neighbours, so that no edge gives them away.

Rong, Leemann, Borisov, Kasneci & Kasneci, "A consistent and efficient evaluation strategy for attribution methods"
(ROAD), ICML 2022. Each removed pixel is the mean of its eight neighbours, with half the weight for diagonal ones; where
these are removed, too, this is a system of linear equations. It is solved approximately by multigrid: first on images
of half the size, where the known pixels are averaged, then by a few sweeps at each size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter

Floats = NDArray[np.float32]

NOISE = 0.01
"""The standard deviation of the noise on imputed pixels, after normalization."""
SWEEPS = 12
"""Times that every removed pixel is replaced by the mean of its neighbours, at each size."""
CACHED_VALUES = 2**18
"""Values of images that are imputed together, so that they stay in the cache of a core."""


def impute(image: NDArray[np.float32], removed: NDArray[np.bool_], seed: int) -> NDArray[np.float32]:
    """Return M versions of an image, C × H × W, in which the pixels `removed`, M × H × W, are imputed.

    If all pixels are removed, they become the mean colour of the training images, 0, with noise.
    """
    known = ~removed[:, None]
    count = max(1, CACHED_VALUES // image.size)
    parts = [known[first : first + count] for first in range(0, len(known), count)]
    filled = np.concatenate(
        [_filled(np.where(part, image, 0).astype(np.float32), part.astype(np.float32)) for part in parts]
    )
    noise = NOISE * _normal(image.shape, seed)
    return np.where(known, image, filled + noise.astype(np.float32))


def _filled(images: Floats, known: Floats) -> Floats:
    """Return images, M × C × H × W, whose pixels with `known` 0 (M × 1 × H × W) are imputed."""
    if known.all() or min(images.shape[2:]) == 1:
        counts = np.maximum(known.sum(axis=(2, 3), keepdims=True), 1)
        return np.where(known > 0, images, (images * known).sum(axis=(2, 3), keepdims=True) / counts)
    counts = _halved(known)
    means = np.asarray(_halved(images * known) / np.maximum(counts, 1), np.float32)
    coarse = _filled(means, (counts > 0).astype(np.float32))
    result = np.where(known > 0, images, _doubled(coarse, images.shape[2:]))
    weights = 1 / _neighbours(np.ones((1, 1, *images.shape[2:]), np.float32))
    fixed, weights = images * known, (1 - known) * weights
    padded = np.pad(result, ((0, 0), (0, 0), (1, 1), (1, 1)))
    inner = padded[:, :, 1:-1, 1:-1]
    for _ in range(SWEEPS):
        inner[...] = fixed + weights * _neighbours_of(padded)
    return inner


def _neighbours(images: Floats) -> Floats:
    """Return the sum of the eight neighbours of each pixel, diagonal ones with half the weight."""
    return _neighbours_of(np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1))))


def _neighbours_of(padded: Floats) -> Floats:
    """Return `_neighbours` of images that have a border of zeros, one pixel wide."""
    lines = padded[:, :, :-2] + padded[:, :, 2:]
    lines += 2 * padded[:, :, 1:-1]  # 1, 2, 1 along the columns
    total = lines[..., :-2] + lines[..., 2:]
    total += 2 * lines[..., 1:-1]
    total *= 0.5
    total -= 2 * padded[:, :, 1:-1, 1:-1]
    return total


def _halved(images: Floats) -> Floats:
    """Return the sums over squares of 2 × 2 pixels."""
    rows, columns = images.shape[2:]
    even = np.pad(images, ((0, 0), (0, 0), (0, rows % 2), (0, columns % 2)))
    return np.asarray(even[:, :, ::2, ::2] + even[:, :, 1::2, ::2] + even[:, :, ::2, 1::2] + even[:, :, 1::2, 1::2])


def _doubled(images: Floats, size: tuple[int, ...]) -> Floats:
    return images.repeat(2, axis=2).repeat(2, axis=3)[:, :, : size[0], : size[1]]


def _normal(shape: tuple[int, ...], seed: int) -> NDArray[np.float64]:
    """Return normally distributed numbers (Box & Muller 1958)."""
    count = int(np.prod(shape))
    uniform = (random_counter.uniform(2 * count, seed, random_counter.EXPLAIN) + 1) / 2
    radius = np.sqrt(-2 * np.log1p(-uniform[:count]))
    return np.asarray(radius * np.cos(2 * np.pi * uniform[count:])).reshape(shape)
