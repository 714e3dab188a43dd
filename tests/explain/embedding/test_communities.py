"""Communities of graphs whose best division is known."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.explain.embedding.communities import NeighbourGraph, by_size, find_communities, modularity
from opsin.explain.embedding.neighbours import nearest
from tests.report.support import blobs

CLUB = (
    "1-2 1-3 2-3 1-4 2-4 3-4 1-5 1-6 1-7 5-7 6-7 1-8 2-8 3-8 4-8 1-9 3-9 3-10 1-11 5-11 6-11 1-12 1-13 4-13 1-14 2-14 "
    "3-14 4-14 6-17 7-17 1-18 2-18 1-20 2-20 1-22 2-22 24-26 25-26 3-28 24-28 25-28 3-29 24-30 27-30 2-31 9-31 1-32 "
    "25-32 26-32 29-32 3-33 9-33 15-33 16-33 19-33 21-33 23-33 24-33 30-33 31-33 32-33 9-34 10-34 14-34 15-34 16-34 "
    "19-34 20-34 21-34 23-34 24-34 27-34 28-34 29-34 30-34 31-34 32-34 33-34"
)
"""The karate club of Zachary (1977); the largest modularity is 0.4198 (Brandes et al. 2008)."""


def club() -> NeighbourGraph:
    graph = NeighbourGraph([{} for _ in range(34)], [0.0] * 34)
    for edge in CLUB.split():
        one, other = (int(number) - 1 for number in edge.split("-"))
        graph.edges[one][other] = graph.edges[other][one] = 1.0
    return graph


def test_the_karate_club_is_divided_as_well_as_possible() -> None:
    graph = club()
    best = max((find_communities(graph, seed=seed) for seed in range(5)), key=lambda labels: modularity(graph, labels))
    assert modularity(graph, best) == pytest.approx(0.4198, abs=5e-5) and best.max() + 1 == 4
    two = find_communities(graph, 2)
    leaders = two[0], two[33]
    assert two.max() + 1 == 2 and leaders[0] != leaders[1]
    assert modularity(graph, two) > 0.36


def test_the_modularity_by_its_definition() -> None:
    graph, labels = club(), np.arange(34) % 3
    weights = np.zeros((34, 34))
    for node, edges in enumerate(graph.edges):
        weights[node, list(edges)] = 1.0
    degrees, total = weights.sum(axis=1), weights.sum()
    same = labels[:, None] == labels
    expected = ((weights - np.outer(degrees, degrees) / total) * same).sum() / total
    assert modularity(graph, labels) == pytest.approx(expected)
    assert modularity(graph.merged(labels), np.arange(3)) == pytest.approx(expected)


@pytest.mark.parametrize("count", [None, 2, 4, 9])
def test_clouds_are_communities(count: int | None) -> None:
    points, labels = blobs(240, 4, distance=12.0)
    found = find_communities(NeighbourGraph.of(nearest(points.astype(np.float64), 15)[0]), count)
    sizes = np.bincount(found)
    assert sizes.tolist() == sorted(sizes.tolist(), reverse=True)
    if count in (None, 4):
        assert len(sizes) == 4 and all(len(np.unique(labels[found == number])) == 1 for number in range(4))
    else:
        assert len(sizes) == count


def test_weights_are_the_overlap_of_neighbourhoods() -> None:
    graph = NeighbourGraph.of(np.array([[1, 2], [0, 2], [1, 3], [2, 1]]))
    assert graph.edges[0] == {1: 1.0, 2: pytest.approx(0.5)}
    assert graph.edges[3] == {1: pytest.approx(0.5), 2: 1.0}
    assert graph.degrees[0] == pytest.approx(1.5)


def test_numbers_follow_the_sizes() -> None:
    assert by_size(np.array([7, 3, 3, 9, 9])).tolist() == [2, 0, 0, 1, 1]
