"""Groups of points as communities of the graph of their nearest neighbours.

An edge between neighbours weighs as much as their neighbourhoods overlap, by Jaccard's coefficient (PhenoGraph: Levine
et al. 2015). The communities have a large modularity (Newman & Girvan 2004), which Louvain's method looks for: nodes
move to the neighbouring community that gains most, communities become nodes, and so on (Blondel et al. 2008). The
number of communities follows from the graph. Another number is reached by merging the pairs that lose least modularity
(Clauset, Newman & Moore 2004), beginning with smaller communities if need be (Reichardt & Bornholdt 2006).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter

ORDER = 126
"""Purpose of random numbers (see `opsin.base.random_counter`)."""

MIN_GAIN = 1e-12
"""The least gain for which a node moves, so that rounding errors move none."""

MAX_RESOLUTION = 2.0**12
"""The resolution at which communities are as small as they are going to be."""

BLOCK = 4096
"""Edges whose neighbourhoods are compared at a time."""


@dataclass(frozen=True, eq=False)
class NeighbourGraph:
    """An undirected graph: the neighbours of each node with the weights of the edges.

    `loops` are the weights inside the nodes, which may be communities of a finer graph, and `degrees` the sums of each
    node's weights, those of loops twice.
    """

    edges: list[dict[int, float]]
    loops: list[float]

    @property
    def degrees(self) -> list[float]:
        return [sum(edges.values()) + 2 * loop for edges, loop in zip(self.edges, self.loops, strict=True)]

    @classmethod
    def of(cls, neighbours: NDArray[np.intp]) -> NeighbourGraph:
        """Return the graph of the nearest neighbours of N points, N × k."""
        count, size = neighbours.shape
        pairs = np.stack([np.repeat(np.arange(count), size), neighbours.ravel()], axis=1)
        pairs = np.unique(np.sort(pairs, axis=1), axis=0)
        graph = cls([{} for _ in range(count)], [0.0] * count)
        for first in range(0, len(pairs), BLOCK):
            one, other = pairs[first : first + BLOCK].T
            # Neighbours count as neighbours of themselves, so that two points alone are connected.
            sets = [np.concatenate([neighbours[each], each[:, None]], axis=1) for each in (one, other)]
            common = (sets[0][:, :, None] == sets[1][:, None, :]).sum(axis=(1, 2))
            weights = common / (2 * (size + 1) - common)
            for a, b, weight in zip(one.tolist(), other.tolist(), weights.tolist(), strict=True):
                graph.edges[a][b] = graph.edges[b][a] = weight
        return graph

    def merged(self, labels: NDArray[np.intp]) -> NeighbourGraph:
        """Return the graph whose nodes are the communities 0, 1, … that `labels` name."""
        count = int(labels.max()) + 1
        graph = NeighbourGraph([{} for _ in range(count)], [0.0] * count)
        communities = labels.tolist()
        for node, (edges, own) in enumerate(zip(self.edges, communities, strict=True)):
            graph.loops[own] += self.loops[node]
            for neighbour, weight in edges.items():
                other = communities[neighbour]
                if other == own:
                    graph.loops[own] += weight / 2
                else:
                    graph.edges[own][other] = graph.edges[own].get(other, 0.0) + weight
        return graph


def find_communities(graph: NeighbourGraph, count: int | None = None, seed: int = 0) -> NDArray[np.intp]:
    """Return the community of each node, 0 for the largest one: `count` of them, or as many as the graph has.

    Parts of the graph that are not connected can be fewer or more than `count`; then the number is another one.
    """
    labels, resolution = _louvain(graph, 1.0, seed), 1.0
    while count is not None and labels.max() + 1 < count and resolution < MAX_RESOLUTION:
        resolution *= 2
        labels = _louvain(graph, resolution, seed)
    if count is not None and labels.max() + 1 > count:
        labels = _merge(graph.merged(labels), count)[labels]
    return by_size(labels)


def modularity(graph: NeighbourGraph, labels: NDArray[np.intp]) -> float:
    """Return the modularity of communities: the share of weights inside them, less that of a random graph."""
    communities = graph.merged(labels)
    total = sum(communities.degrees) or 1.0
    return sum(2 * loop / total for loop in communities.loops) - sum((d / total) ** 2 for d in communities.degrees)


def by_size(labels: NDArray[np.intp]) -> NDArray[np.intp]:
    """Number communities by their sizes, the largest first; of equal ones, that with the first node."""
    _, first, inverse, counts = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    ranks = np.empty(len(counts), np.intp)
    ranks[np.lexsort((first, -counts))] = np.arange(len(counts))
    return ranks[inverse.reshape(-1)]


def _louvain(graph: NeighbourGraph, resolution: float, seed: int) -> NDArray[np.intp]:
    labels = np.arange(len(graph.edges))
    for level in range(len(labels)):
        moved = _move_nodes(graph, resolution, seed, level)
        if moved is None:
            break
        communities = np.unique(moved, return_inverse=True)[1].reshape(-1)
        labels, graph = communities[labels], graph.merged(communities)
    return labels


def _move_nodes(graph: NeighbourGraph, resolution: float, seed: int, level: int) -> list[int] | None:
    """Move nodes to other communities as long as that gains modularity; return None if none has moved."""
    degrees, count = graph.degrees, len(graph.edges)
    scale, totals, communities = resolution / (sum(degrees) or 1.0), list(degrees), list(range(count))
    order = random_counter.order(count, seed, ORDER, level).tolist()
    has_moved, is_moving = False, True
    while is_moving:
        is_moving = False
        for node in order:
            own, degree = communities[node], degrees[node] * scale
            weights: dict[int, float] = {own: 0.0}
            for neighbour, weight in graph.edges[node].items():
                community = communities[neighbour]
                weights[community] = weights.get(community, 0.0) + weight
            totals[own] -= degrees[node]
            best, most = own, weights[own] - degree * totals[own] + MIN_GAIN
            for community, weight in weights.items():
                gain = weight - degree * totals[community]
                if gain > most:
                    best, most = community, gain
            totals[best] += degrees[node]
            communities[node] = best
            is_moving |= best != own
        has_moved |= is_moving
    return communities if has_moved else None


def _merge(graph: NeighbourGraph, count: int) -> NDArray[np.intp]:
    """Return the community of each node after merging pairs until `count` communities are left."""
    size, degrees = len(graph.edges), np.array(graph.degrees)
    weights, labels = np.zeros((size, size)), np.arange(size)
    for node, edges in enumerate(graph.edges):
        weights[node, list(edges)] = list(edges.values())
    total = float(degrees.sum()) or 1.0
    for _ in range(size - count):
        gains = weights - np.outer(degrees, degrees) / total
        gains[np.tril_indices(size)] = -np.inf
        alive = np.unique(labels)
        place = int(gains[np.ix_(alive, alive)].argmax())
        one, other = int(alive[place // len(alive)]), int(alive[place % len(alive)])
        weights[one] += weights[other]
        weights[:, one] += weights[:, other]
        degrees[one] += degrees[other]
        labels[labels == other] = one
    return np.unique(labels, return_inverse=True)[1].reshape(-1)
