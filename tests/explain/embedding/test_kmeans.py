"""k-means finds separate clouds, and the silhouette is that of its definition."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.explain.embedding import kmeans
from opsin.explain.embedding.kmeans import k_means, silhouette
from tests.report.support import blobs


def test_clouds_are_found_the_largest_first() -> None:
    points, labels = blobs(300, 4, distance=12.0)
    keep = (labels != 2) | (np.arange(300) < 150)
    points, labels = points[keep].astype(np.float64), labels[keep]
    found = k_means(points, 4)
    counts = np.bincount(found.labels)
    assert counts.tolist() == sorted(np.bincount(labels).tolist(), reverse=True)
    assert all(len(np.unique(labels[found.labels == number])) == 1 for number in range(4))
    means = np.stack([points[found.labels == number].mean(axis=0) for number in range(4)])
    np.testing.assert_allclose(found.centres, means)
    assert found.inertia == pytest.approx(float(((points - means[found.labels]) ** 2).sum()))


def test_equal_points_give_fewer_groups() -> None:
    points = np.repeat(np.eye(2), 5, axis=0)
    found = k_means(points, 5)
    assert len(found.centres) == 2 and np.bincount(found.labels).tolist() == [5, 5]
    assert k_means(np.ones((6, 3)), 4).labels.tolist() == [0] * 6


def test_the_result_does_not_depend_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(0).normal(size=(700, 9))
    expected = k_means(points, 7)
    value = silhouette(points, expected.labels)
    monkeypatch.setattr("opsin.explain.embedding.products.processors", lambda: 1)
    again = k_means(points, 7)
    assert np.array_equal(again.labels, expected.labels) and again.centres.tobytes() == expected.centres.tobytes()
    assert silhouette(points, again.labels) == value
    assert kmeans.k_means(points, 7, seed=1).inertia != expected.inertia


def test_the_silhouette_by_its_definition() -> None:
    points, labels = blobs(60, 3, distance=3.0)
    labels[0] = 3  # a group of one point
    distances = np.linalg.norm(points[:, None].astype(np.float64) - points[None], axis=2)
    values = []
    for n, label in enumerate(labels):
        others = [distances[n, labels == each].mean() for each in range(4) if each != label]
        own = distances[n, labels == label].sum() / max(1, (labels == label).sum() - 1)
        values.append(0.0 if n == 0 else (min(others) - own) / max(own, min(others)))
    assert silhouette(points.astype(np.float64), labels.astype(np.intp)) == pytest.approx(np.mean(values), abs=1e-6)
    assert silhouette(points.astype(np.float64), np.zeros(60, np.intp)) == 0.0


def test_the_silhouette_agrees_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    points = np.random.default_rng(1).normal(size=(400, 5))
    labels = k_means(points, 6).labels
    assert silhouette(points, labels) == pytest.approx(metrics.silhouette_score(points, labels), abs=1e-9)
