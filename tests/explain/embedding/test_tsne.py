"""t-SNE, against its definition and scikit-learn; its bits do not depend on threads."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from opsin.base.errors import DataError
from opsin.explain.embedding import trustworthiness, tsne
from opsin.explain.embedding.tsne import Forces, conditional_probabilities, divergence, find_affinities


def clusters(count: int, size: int, columns: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return points around `count` centers that are far apart, and the number of each point's center."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count * size) % count
    return (rng.normal(size=(count, columns)) * 5)[labels] + rng.normal(size=(count * size, columns)), labels


def dense(points: np.ndarray, perplexity: float) -> np.ndarray:
    """Return the joint probabilities of points by the definition of 2008, one point after the other."""
    size = len(points)
    conditional = np.zeros((size, size))
    for i in range(size):
        others = np.delete(np.arange(size), i)
        squared = ((points[others] - points[i]) ** 2).sum(axis=1)
        low, high = 1e-6, 1e2
        for _ in range(100):
            beta = np.sqrt(low * high)
            p = np.exp(-beta * squared) / np.exp(-beta * squared).sum()
            entropy = -(p[p > 0] * np.log2(p[p > 0])).sum()
            low, high = (beta, high) if 2**entropy > perplexity else (low, beta)
        conditional[i, others] = p
    return (conditional + conditional.T) / (2 * size)


def matrix(affinities: object) -> np.ndarray:
    size = len(affinities.starts) - 1  # type: ignore[attr-defined]
    result = np.zeros((size, size))
    rows = np.repeat(np.arange(size), np.diff(affinities.starts))  # type: ignore[attr-defined]
    result[rows, affinities.neighbours] = affinities.p  # type: ignore[attr-defined]
    return result


def test_affinities_are_those_of_the_definition() -> None:
    points = np.random.default_rng(1).normal(size=(25, 4))
    found = matrix(find_affinities(points, 8.0))  # 3 · 8 neighbours are all other points
    np.testing.assert_allclose(found, dense(points, 8.0), rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(found, found.T)
    assert found.sum() == pytest.approx(1, abs=1e-6)


def test_only_neighbours_attract() -> None:
    affinities = find_affinities(np.random.default_rng(2).normal(size=(200, 4)), 5.0)
    assert len(affinities.neighbours) < 200 * 30
    assert affinities.p.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)


def test_each_row_has_the_perplexity() -> None:
    squared = np.random.default_rng(0).exponential(size=(9, 40)) * np.geomspace(1e-8, 1e8, 9)[:, None]
    p = conditional_probabilities(squared, 12.0)
    entropy = -(p * np.log(np.maximum(p, 1e-300))).sum(axis=1)
    np.testing.assert_allclose(np.exp(entropy), 12, rtol=1e-6)
    np.testing.assert_allclose(conditional_probabilities(np.full((2, 10), 3.0), 4.0), 0.1)


def test_the_gradient_is_that_of_the_divergence() -> None:
    points, _ = clusters(3, 12)
    affinities = find_affinities(points, 9.0)
    y = np.random.default_rng(4).normal(size=(36, 2))
    forces = Forces(affinities)
    gradient, total = forces.gradient(y)
    p, step = matrix(affinities), 1e-5

    def loss(y: np.ndarray) -> float:
        q = 1 / (1 + ((y[:, None] - y[None]) ** 2).sum(axis=2))
        np.fill_diagonal(q, 0)
        q /= q.sum()
        return float((p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum())

    assert divergence(y, affinities, total) == pytest.approx(loss(y), rel=1e-5)
    for i, axis in [(0, 0), (7, 1), (35, 0)]:
        moved = [y.copy() for _ in range(2)]
        moved[0][i, axis] += step
        moved[1][i, axis] -= step
        assert gradient[i, axis] == pytest.approx((loss(moved[0]) - loss(moved[1])) / (2 * step), rel=1e-3, abs=1e-6)


def test_clusters_stay_together() -> None:
    points, labels = clusters(5, 60)
    progress: list[int] = []
    found = tsne(points, progress=progress.append)
    assert progress == list(range(1, 751))
    distances = ((found.positions[:, None] - found.positions[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (labels[distances.argmin(axis=1)] == labels).all()
    assert trustworthiness(points, found.positions) > 0.95
    other = tsne(points)
    assert other.positions.tobytes() == found.positions.tobytes()
    assert tsne(points, seed=1).positions.tobytes() != found.positions.tobytes()


def test_as_good_as_scikit_learn() -> None:
    manifold = pytest.importorskip("sklearn.manifold")
    points, _ = clusters(6, 50, seed=3)
    ours = tsne(points)
    theirs = manifold.TSNE(init="pca", random_state=0, method="exact", max_iter=750).fit(points)
    assert ours.divergence < theirs.kl_divergence_ + 0.05
    assert (
        trustworthiness(points, ours.positions)
        > manifold.trustworthiness(points, theirs.embedding_, n_neighbors=15) - 0.01
    )


def test_points_that_coincide_have_places() -> None:
    points = np.repeat(np.random.default_rng(0).normal(size=(6, 3)), 10, axis=0)
    assert np.isfinite(tsne(points, iterations=300).positions).all()
    assert np.isfinite(tsne(np.ones((8, 3)), iterations=50).positions).all()


def test_points_that_cannot_be_mapped_are_refused() -> None:
    with pytest.raises(DataError, match="at least 4 points, not 3"):
        tsne(np.zeros((3, 2)))
    with pytest.raises(DataError, match="NaN or infinity"):
        tsne(np.full((9, 2), np.nan))


PROGRAM = """
import hashlib, numpy as np
from opsin.explain.embedding import principal_components, trustworthiness, tsne
points = np.random.default_rng(0).normal(size=(600, 300)).astype(np.float32)
points[:, :20] *= np.linspace(9, 2, 20, dtype=np.float32)
found = tsne(points, iterations=60)
scores, trusted = principal_components(points, 20).scores, trustworthiness(points, found.positions)
print(hashlib.sha256(repr((scores.tobytes(), found.positions.tobytes(), trusted)).encode()).hexdigest())
"""


def test_the_bits_do_not_depend_on_the_number_of_threads() -> None:
    def digest(threads: int) -> str:
        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, str(threads))}
        code = f"import os; os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:{threads}])\n{PROGRAM}"
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True, timeout=120
        ).stdout

    assert digest(1) == digest(2)
