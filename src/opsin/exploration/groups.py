"""Groups of similar images: communities of the graph of nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from opsin.explain.embedding.communities import NeighbourGraph, find_communities, modularity
from opsin.explain.observer import Floats

MIN_NEIGHBOURS, MAX_NEIGHBOURS = 10, 60
"""Bounds of the neighbours of an image in the graph: the root of the number of images. More give fewer groups."""

MAX_GROUPS = 200
"""Groups that a user may ask for."""


@dataclass(frozen=True)
class Group:
    """The images of a group by their numbers, those nearest to its centre first.

    `name` is that of its class folder, such as "group-03". `similarity` is the mean cosine of its images to its centre.
    """

    name: str
    members: tuple[int, ...]
    similarity: float


def neighbour_count(images: int) -> int:
    """Return the number of neighbours of an image in the graph."""
    return min(max(MIN_NEIGHBOURS, min(MAX_NEIGHBOURS, round(sqrt(images)))), images - 1)


def find_groups(neighbours: NDArray[np.intp], count: int | None) -> tuple[NDArray[np.intp], str]:
    """Return the group of each image, and a sentence about their number, which may be given as `count`.

    `neighbours` are the nearest of each image, N × `neighbour_count`.
    """
    graph = NeighbourGraph.of(neighbours)
    labels = find_communities(graph, count)
    found = int(labels.max()) + 1
    if found == 1 and count is None:
        return labels, "The images are too few, or too alike, for several groups."
    text = f"{found} groups, with a modularity of {modularity(graph, labels):.2f}"
    if count is None:
        return labels, f"The images form {text}."
    missed = f" instead of the {count} that were asked for" if found != count else ", as many as were asked for"
    return labels, f"The images were divided into {text}{missed}."


def describe_groups(features: Floats, labels: NDArray[np.intp]) -> tuple[Group, ...]:
    """Return the groups of images with features of length 1 (N × F)."""
    groups, digits = [], max(2, len(str(labels.max() + 1)))
    for number in range(labels.max() + 1):
        members = np.flatnonzero(labels == number)
        mean = features[members].mean(axis=0, dtype=np.float64)
        cosines = features[members] @ (mean / max(float(np.linalg.norm(mean)), 1e-12))
        nearest_first = members[np.argsort(-cosines, kind="stable")]
        groups.append(Group(f"group-{number + 1:0{digits}}", tuple(nearest_first.tolist()), float(cosines.mean())))
    return tuple(groups)
