"""Nearest neighbours, and whether a map preserves them: trustworthiness (Venna & Kaski 2001)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.explain.embedding.products import Doubles, distance_band, parallel, squared_distances

NEIGHBOURS = 15
"""Neighbours of a point whose preservation is measured."""


def nearest(points: Doubles, count: int) -> tuple[NDArray[np.intp], Doubles]:
    """Return the `count` nearest other points of each of N points (N × K), N × `count`, nearest first, and |a - b|².

    Of points at the same distance those with the lower number come first.
    """
    numbers, distances = np.empty((len(points), count), np.intp), np.empty((len(points), count))

    def search(rows: slice) -> None:
        squared = _distances_of(points, rows)
        squared[np.arange(len(squared)), np.arange(rows.start, rows.stop)] = np.inf
        bound = np.partition(squared, count - 1, axis=1)[:, count - 1]
        for row, (values, limit) in enumerate(zip(squared, bound, strict=True), start=rows.start):
            candidates = np.flatnonzero(values <= limit)
            numbers[row] = candidates[np.argsort(values[candidates], kind="stable")][:count]
            distances[row] = values[numbers[row]]

    parallel(search, len(points), distance_band(len(points)))
    return numbers, distances


def trustworthiness(
    features: NDArray[np.floating[Any]], positions: NDArray[np.floating[Any]], count: int = NEIGHBOURS
) -> float:
    """Return how many of the `count` nearest neighbours in a map are neighbours in the features, too: 0 to 1.

    `features` are N × F, `positions` N × 2. A neighbour in the map that is not among the `count` nearest by features
    counts by its rank in excess of `count`; 1 means that there is none. Raise `DataError` if N is below 2 · `count`.
    """
    return trustworthiness_of_maps(features, [positions], count)[0]


def trustworthiness_of_maps(
    features: NDArray[np.floating[Any]], maps: Sequence[NDArray[np.floating[Any]]], count: int = NEIGHBOURS
) -> list[float]:
    """Return the trustworthiness of several maps of the same points, for which distances are computed once."""
    size = len(features)
    if size < 2 * count:
        raise DataError(
            f"trustworthiness with {count} neighbours needs at least {2 * count} points, not {size}; "
            "give more points or a smaller count"
        )
    centered = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    mapped = [nearest(positions.astype(np.float64), count)[0] for positions in maps]
    excess = np.zeros((len(maps), size))

    def measure(rows: slice) -> None:
        squared = _distances_of(centered, rows)
        squared[np.arange(len(squared)), np.arange(rows.start, rows.stop)] = np.inf
        for row, values in enumerate(squared, start=rows.start):
            ordered = np.sort(values)
            for number, neighbours in enumerate(mapped):
                ranks = np.searchsorted(ordered, values[neighbours[row]]) + 1
                excess[number, row] = np.maximum(ranks - count, 0).sum()

    parallel(measure, size, distance_band(size))
    largest = size * count * (2 * size - 3 * count - 1)
    return [1.0 - 2.0 * float(total) / largest for total in excess.sum(axis=1)]


def _distances_of(points: Doubles, rows: slice) -> Doubles:
    """Return |a - b|² of the points `rows` to all points."""
    return squared_distances(points[rows], points)
