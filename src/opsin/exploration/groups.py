"""Groups of similar images: k-means on the principal components of the features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter
from opsin.explain.embedding.kmeans import Grouping, k_means, nearest_centres, silhouette
from opsin.explain.embedding.products import Doubles

CANDIDATES = (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 24, 28, 32)
"""Numbers of groups of which the best is chosen."""

MIN_SIZE = 5
"""Images of a group on average, at least."""

MAX_GROUPS = 200
"""Groups that a user may ask for."""

SAMPLE = 4_000
"""Images of which the number of groups is chosen, at most."""

SAMPLE_ORDER = 127
"""Purpose of random numbers (see `opsin.base.random_counter`)."""


@dataclass(frozen=True)
class Group:
    """The images of a group by their numbers, those nearest to its centre first.

    `name` is that of its class folder, such as "group-03". `similarity` is the mean cosine of its images to its centre.
    """

    name: str
    members: tuple[int, ...]
    similarity: float


def find_groups(points: Doubles, count: int | None) -> tuple[Grouping, str]:
    """Return groups of points (N × F), and a sentence about their number: `count`, or that of the best silhouette."""
    if count is not None:
        return k_means(points, count), f"There are {count} groups, as many as were asked for."
    order = random_counter.order(len(points), 0, SAMPLE_ORDER)[:SAMPLE]
    sample = points[np.sort(order)]
    runs = {number: k_means(sample, number) for number in CANDIDATES if number * MIN_SIZE <= len(sample)}
    scores = {number: silhouette(sample, run.labels) for number, run in runs.items()}
    if not scores or max(scores.values()) <= 0:
        return _single(points), "There are too few images, or they are too alike, for several groups."
    best = max(scores, key=lambda number: (scores[number], -number))
    grouping = runs[best] if len(sample) == len(points) else _extended(points, runs[best])
    return grouping, (
        f"Of {min(scores)} to {max(scores)} groups, {best} have the highest mean silhouette, {scores[best]:.3f}."
    )


def describe_groups(features: NDArray[np.float32], points: Doubles, grouping: Grouping) -> tuple[Group, ...]:
    """Return the groups of images with features (N × F) and `points`, which were grouped."""
    groups = []
    for number, centre in enumerate(grouping.centres):
        members = np.flatnonzero(grouping.labels == number)
        distances = ((points[members] - centre) ** 2).sum(axis=1)
        mean = features[members].mean(axis=0, dtype=np.float64)
        cosines = features[members] @ (mean / max(float(np.linalg.norm(mean)), 1e-12))
        nearest_first = members[np.argsort(distances, kind="stable")]
        name = f"group-{number + 1:0{len(str(max(10, len(grouping.centres))))}}"
        groups.append(Group(name, tuple(nearest_first.tolist()), float(cosines.mean())))
    return tuple(groups)


def _single(points: Doubles) -> Grouping:
    return k_means(points, 1)


def _extended(points: Doubles, sample: Grouping) -> Grouping:
    """Return the grouping of all points by the centres of those of a sample."""
    labels, distances = nearest_centres(points, sample.centres)
    return Grouping(labels, sample.centres, float(distances.sum()))
