"""Measures of features, by hand and against scikit-learn; collapse; the evaluation."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.tasks.self_supervised import SelfSupervised, Unlabelled, measures
from opsin.tasks.self_supervised.evaluation import FeatureEvaluation
from tests.support import Array, generator


def clusters(count: int, width: int = 12, spread: float = 1.0) -> tuple[Array, Array]:
    """Features of four classes, and the classes."""
    rng = generator("clusters")
    labels = np.asarray(np.arange(count) % 4, np.int32)
    centres = 2 * rng.standard_normal((4, width))
    return (centres[labels] + spread * rng.standard_normal((count, width))).astype(np.float32), labels


def test_own_ranks_by_hand() -> None:
    first = np.array([[1, 0], [0, 1], [1, 1]], np.float32)
    second = np.array([[2, 0.1], [3, 0], [1, 1]], np.float32)
    assert measures.own_ranks(first, second).tolist() == [1, 2, 0]


def test_equal_features_do_not_agree() -> None:
    equal = np.ones((6, 3), np.float32)
    assert (measures.own_ranks(equal, equal) > 0).all()


def test_effective_rank_by_hand() -> None:
    signs = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], np.float32)
    assert measures.effective_rank(signs) == pytest.approx(2)
    assert measures.effective_rank(signs + 100) == pytest.approx(2)
    assert measures.effective_rank(signs * np.array([3, 1], np.float32)) == pytest.approx(
        np.exp(-0.75 * np.log(0.75) - 0.25 * np.log(0.25))
    )
    assert measures.effective_rank(signs[:, :1] @ np.ones((1, 5), np.float32)) == pytest.approx(1, abs=1e-5)
    assert measures.effective_rank(np.ones((4, 2), np.float32)) == 0
    wide = generator("wide").standard_normal((5, 40)).astype(np.float32)
    assert measures.effective_rank(wide) == pytest.approx(measures.effective_rank(wide @ _rotation(40)), rel=1e-4)


def _rotation(size: int) -> Array:
    return np.linalg.qr(generator("rotation").standard_normal((size, size)))[0].astype(np.float32)


def test_nearest_neighbours_classify_like_scikit_learn() -> None:
    neighbors = pytest.importorskip(
        "sklearn.neighbors", reason="scikit-learn is not installed; it is an optional extra"
    )
    features, labels = clusters(40, spread=4.0)
    hits = 0
    for left_out in range(40):
        others = np.arange(40) != left_out
        theirs = neighbors.KNeighborsClassifier(
            5, metric="cosine", weights=lambda distances: np.exp(-distances / measures.TEMPERATURE)
        ).fit(features[others], labels[others])
        hits += int(theirs.predict(features[left_out : left_out + 1])[0] == labels[left_out])
    assert 0.3 < hits / 40 < 1
    assert measures.knn_accuracy(features, labels) == pytest.approx(hits / 40)


def test_the_probe_is_a_ridge_regression() -> None:
    linear = pytest.importorskip(
        "sklearn.linear_model", reason="scikit-learn is not installed; it is an optional extra"
    )
    features, labels = clusters(200, spread=4.0)
    fold = np.empty(200, np.intp)
    fold[np.argsort(labels, kind="stable")] = np.arange(200) % measures.FOLDS
    hits = 0
    for number in range(measures.FOLDS):
        inside = fold != number
        mean, deviation = features[inside].mean(0), features[inside].std(0)
        scaled = (features - mean) / deviation
        theirs = linear.RidgeClassifierCV([penalty * inside.sum() for penalty in measures.PENALTIES])
        theirs.fit(scaled[inside], labels[inside])
        hits += int((theirs.predict(scaled[~inside]) == labels[~inside]).sum())
    assert 0.5 < hits / 200 < 1
    assert measures.probe_accuracy(features, labels) == pytest.approx(hits / 200, abs=0.03)


def test_collapse_is_named() -> None:
    rng = generator("collapse")
    features = np.abs(rng.standard_normal((50, 8))).astype(np.float32)
    assert measures.collapse(features) == ""
    assert measures.collapse(np.ones((50, 8), np.float32)) == "the features of all images are equal"
    assert measures.collapse(np.zeros((50, 8), np.float32)) == "the features of all images are equal"
    line = np.ones((1, 8), np.float32) + np.linspace(-0.5, 0.5, 50, dtype=np.float32)[:, None] * np.array(
        [[1, -1, 0, 0, 0, 0, 0, 0]], np.float32
    )
    assert "lie on a line (effective rank 1.0 of 8)" in measures.collapse(line)


def evaluation(count: int = 40, folders: int = 4) -> FeatureEvaluation:
    features, labels = clusters(count)
    other = features + 0.01 * generator("views").standard_normal(features.shape).astype(np.float32)
    targets = Unlabelled(labels % folders, ("a", "b", "c", "d"))
    parts = [
        (features[rows], features[rows], other[rows], targets.take(rows)) for rows in np.split(np.arange(count), 2)
    ]
    result: FeatureEvaluation = SelfSupervised().evaluate(parts, None)
    return result


def test_evaluation() -> None:
    result = evaluation()
    assert result.score.metrics["view_agreement"] == 1 and 0 < result.score.loss < 1e-3
    assert list(result.score.metrics) == ["view_agreement", "rank_share", "knn_accuracy", "probe_accuracy"]
    assert result.score.metrics["probe_accuracy"] > 0.9
    assert "100.0% of views found among those of 40 images, effective rank" in str(result)
    assert result.worst(3) == []
    assert [section.heading for section in result.sections()] == ["Features", "By folder", "Nearest images"]
    assert len(result.sections()[2].examples) == 12
    assert result.to_data()["collapse"] is None


def test_one_folder_has_no_accuracies() -> None:
    result = evaluation(folders=1)
    assert list(result.score.metrics) == ["view_agreement", "rank_share"]
    assert [section.heading for section in result.sections()] == ["Features", "Nearest images"]


def test_an_image_whose_view_is_lost_is_the_worst() -> None:
    features = np.eye(5, dtype=np.float32)
    other = features.copy()
    other[3] *= -1
    result = FeatureEvaluation(features, (features, other), np.zeros(5, np.int32), ("",), np.arange(5) * 2, 10)
    assert result.worst(4) == [6]
