"""Matrix products that are bit-identical for any number of threads.

BLAS libraries divide large products among threads, and the division may change the order of additions. These products
consist of tiles so small that a BLAS library uses one thread for each. `parallel` runs such work on all cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from opsin.base.processors import processors

Doubles = NDArray[np.float64]

TILE_MACS = 2**17
"""MACs of a tile: half of those up to which OpenBLAS uses one thread."""

DEPTH, WIDTH = 128, 32
"""The most terms of a sum, and columns, in a tile."""

BAND = 256
"""Rows of a product that one thread computes at a time."""

MAX_BAND_DISTANCES = 2**24
"""Distances that a thread keeps, 128 MiB: those of a whole band of up to 65,536 points, and of shorter ones of more."""


def product(left: Doubles, right: Doubles) -> Doubles:
    """Return `left` (N × K) times `right` (K × M)."""
    result = np.zeros((len(left), right.shape[1]))

    def compute(rows: slice) -> None:
        _add_product(left[rows], right, result[rows])

    parallel(compute, len(left))
    return result


def squared_distances(left: Doubles, right: Doubles) -> Doubles:
    """Return |a - b|² (N × M) for rows a of `left` (N × K) and b of `right` (M × K), never negative; one thread."""
    result: Doubles = np.add.outer((left * left).sum(axis=1), (right * right).sum(axis=1))
    _add_product(-2.0 * left, right.T, result)
    np.maximum(result, 0.0, out=result)
    return result


def parallel(work: Callable[[slice], object], count: int, band: int = BAND) -> None:
    """Call `work` for all bands of rows 0 … `count` - 1, on all cores. Raise the first error."""
    with ThreadPoolExecutor(processors()) as pool:
        list(pool.map(work, _ranges(count, band)))


def distance_band(count: int) -> int:
    """Return how many rows of the distances of `count` points a thread computes, so that its memory is bounded."""
    return min(BAND, max(1, MAX_BAND_DISTANCES // count))


def _add_product(left: Doubles, right: Doubles, result: Doubles) -> None:
    """Add `left` times `right` to `result`, tile by tile."""
    depth, width = min(DEPTH, left.shape[1]), min(WIDTH, right.shape[1])
    height = max(2, TILE_MACS // max(1, depth * width))
    for terms in _ranges(left.shape[1], DEPTH):
        for columns in _ranges(right.shape[1], WIDTH):
            operand = np.ascontiguousarray(right[terms, columns])
            for rows in _ranges(len(left), height):
                result[rows, columns] += _tile(left[rows, terms], operand)


def _tile(left: Doubles, right: Doubles) -> Doubles:
    """Return a product; single rows and columns are repeated, since vectors are multiplied in another way."""
    rows, columns = len(left), right.shape[1]
    left = np.repeat(left, 2, axis=0) if rows == 1 else left
    right = np.repeat(right, 2, axis=1) if columns == 1 else right
    tile: Doubles = np.matmul(left, right)[:rows, :columns]
    return tile


def _ranges(count: int, size: int) -> Iterator[slice]:
    """Yield ranges of `size` of the numbers 0 … `count` - 1."""
    for first in range(0, count, size):
        yield slice(first, min(first + size, count))
