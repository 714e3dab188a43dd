"""k-means: groups of points around centres (Lloyd 1982), and the silhouette of a grouping (Rousseeuw 1987).

The first centres are drawn far from each other (k-means++: Arthur & Vassilvitskii 2007), and the best of several starts
counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter
from opsin.explain.embedding.products import Doubles, parallel, squared_distances

CENTRES = 126
"""Purpose of random numbers (see `opsin.base.random_counter`)."""

STARTS, MAX_ITERATIONS = 4, 100


@dataclass(frozen=True, eq=False)
class Grouping:
    """Groups of N points: `labels` (N, 0 to K - 1), `centres` K × F, and the sum of squared distances to them.

    The largest group comes first.
    """

    labels: NDArray[np.intp]
    centres: Doubles
    inertia: float


def k_means(points: Doubles, count: int, seed: int = 0) -> Grouping:
    """Return `count` groups of points (N × F), or fewer if there are fewer different points."""
    runs = [_converge(points, _first_centres(points, count, seed, start)) for start in range(STARTS)]
    return _by_size(min(runs, key=lambda run: run.inertia))


def silhouette(points: Doubles, labels: NDArray[np.intp]) -> float:
    """Return the mean silhouette of a grouping of points (N × F), between -1 and 1; 0 for a single group.

    No group may be empty. The silhouette compares the mean distance of a point to the others of its group with that to
    the nearest other group.
    """
    size = int(labels.max()) + 1
    if size < 2:
        return 0.0
    counts = np.bincount(labels, minlength=size).astype(np.float64)
    order = np.argsort(labels, kind="stable")
    starts, values = np.searchsorted(labels[order], np.arange(size)), np.zeros(len(points))

    def measure(rows: slice) -> None:
        sums = np.add.reduceat(np.sqrt(squared_distances(points[rows], points[order])), starts, axis=1)
        own = labels[rows]
        places = np.arange(len(own)), own
        inside = sums[places] / np.maximum(counts[own] - 1, 1)
        others = sums / counts
        others[places] = np.inf
        outside = others.min(axis=1)
        largest = np.maximum(np.maximum(inside, outside), 1e-300)
        values[rows] = np.where(counts[own] > 1, (outside - inside) / largest, 0.0)

    parallel(measure, len(points))
    return float(values.mean())


def nearest_centres(points: Doubles, centres: Doubles) -> tuple[NDArray[np.intp], Doubles]:
    """Return the number of the nearest centre of each point, and the squared distance to it."""
    labels, distances = np.empty(len(points), np.intp), np.empty(len(points))

    def search(rows: slice) -> None:
        squared = squared_distances(points[rows], centres)
        labels[rows] = squared.argmin(axis=1)
        distances[rows] = squared.min(axis=1)

    parallel(search, len(points))
    return labels, distances


def _first_centres(points: Doubles, count: int, seed: int, start: int) -> Doubles:
    """Return up to `count` different points, each drawn by its squared distance to the nearest one before it."""
    random = (random_counter.uniform(count, seed, CENTRES, epoch=start) + 1.0) / 2.0
    chosen = [int(random[0] * len(points))]
    _, distances = nearest_centres(points, points[chosen])
    for draw in random[1:]:
        cumulated = np.cumsum(distances)
        if cumulated[-1] <= 0:
            break
        chosen.append(min(int(np.searchsorted(cumulated, draw * cumulated[-1], side="right")), len(points) - 1))
        distances = np.minimum(distances, nearest_centres(points, points[chosen[-1:]])[1])
    return points[chosen]


def _converge(points: Doubles, centres: Doubles) -> Grouping:
    """Move the centres to the means of their points until no point changes its group."""
    labels, distances = nearest_centres(points, centres)
    for _ in range(MAX_ITERATIONS):
        centres = _means(points, labels, centres)
        previous, (labels, distances) = labels, nearest_centres(points, centres)
        if np.array_equal(labels, previous):
            break
    return Grouping(labels, centres, float(distances.sum()))


def _means(points: Doubles, labels: NDArray[np.intp], centres: Doubles) -> Doubles:
    """Return the mean of the points of each group; a group without points keeps its centre."""
    order = np.argsort(labels, kind="stable")
    present, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    means = centres.copy()
    means[present] = np.add.reduceat(points[order], starts, axis=0) / counts[:, None]
    return means


def _by_size(run: Grouping) -> Grouping:
    """Number the groups by their sizes and drop empty ones."""
    counts = np.bincount(run.labels, minlength=len(run.centres))
    order = [number for number in np.argsort(-counts, kind="stable").tolist() if counts[number]]
    ranks = np.zeros(len(run.centres), np.intp)
    ranks[order] = np.arange(len(order))
    return Grouping(ranks[run.labels], run.centres[order], run.inertia)
