"""Trustworthiness, by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.base.errors import DataError
from opsin.explain.embedding import products, trustworthiness
from opsin.explain.embedding.neighbours import nearest
from opsin.explain.embedding.products import product


def test_a_map_that_keeps_all_distances_is_trusted_fully() -> None:
    points = np.random.default_rng(0).normal(size=(100, 2))
    assert trustworthiness(points, points * 7 - 3) == 1


def test_one_false_neighbour_by_hand() -> None:
    """Of points 0, 1, 2, 4, 8, 16 on a line, 16 is drawn next to 0: it is the fifth nearest to 0, and 0 to it."""
    features = np.array([[0.0], [1], [2], [4], [8], [16]])
    positions = np.array([[0.0, 0], [1, 0], [2, 0], [4, 0], [8, 0], [-0.5, 0]])
    # Ranks beyond 1: from 0, 16 (rank 5); from 16, 0 (rank 5); 1 → 0 is first, as is 2 → 1, 4 → 2 and 8 → 4.
    assert trustworthiness(features, positions, 1) == pytest.approx(1 - 2 * (4 + 4) / (6 * 1 * (12 - 3 - 1)))


def test_scikit_learn_agrees() -> None:
    manifold = pytest.importorskip("sklearn.manifold")
    rng = np.random.default_rng(5)
    features, positions = rng.normal(size=(700, 30)).astype(np.float32), rng.normal(size=(700, 2)).astype(np.float32)
    positions[:, 0] += features[:, 0] * 3
    for count in (5, 15):
        expected = manifold.trustworthiness(
            features.astype(np.float64), positions.astype(np.float64), n_neighbors=count
        )
        assert trustworthiness(features, positions, count) == pytest.approx(expected, abs=1e-12)


def test_neighbours_of_equal_distance_are_in_the_order_of_their_numbers() -> None:
    numbers, squared = nearest(np.array([[0.0], [1], [-1], [1], [5]]), 3)
    assert numbers[0].tolist() == [1, 2, 3]
    assert squared[0].tolist() == [1, 1, 1]
    assert numbers[1].tolist() == [3, 0, 2]


def test_too_few_points_are_refused() -> None:
    with pytest.raises(DataError, match="at least 30 points, not 29"):
        trustworthiness(np.zeros((29, 2)), np.zeros((29, 2)))


@pytest.mark.parametrize(("n", "k", "m"), [(1, 1, 1), (257, 300, 65), (3, 700, 1), (600, 2, 64)])
def test_products_in_tiles(n: int, k: int, m: int) -> None:
    rng = np.random.default_rng(n)
    left, right = rng.normal(size=(n, k)), rng.normal(size=(k, m))
    np.testing.assert_allclose(product(left, right), left @ right, atol=1e-11)


def test_memory_is_bounded_and_changes_no_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [products.distance_band(count) for count in (100, 2**16, 10**6)] == [products.BAND, products.BAND, 16]
    points = np.random.default_rng(3).normal(size=(90, 5))
    numbers, squared = nearest(points, 4)
    monkeypatch.setattr(products, "MAX_BAND_DISTANCES", 90 * 7)
    again, distances = nearest(points, 4)
    np.testing.assert_array_equal(again, numbers)
    np.testing.assert_allclose(distances, squared, rtol=1e-12)
