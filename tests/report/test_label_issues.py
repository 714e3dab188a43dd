"""Logistic regression, label issues and learning curves on features with known labels."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.report.label_issues import held_out_probabilities, rank_labels
from opsin.report.learning_curve import learning_curve
from opsin.report.logistic import PENALTIES, choose_penalty, fit, folds
from tests.report.support import blobs


@pytest.mark.parametrize("penalty", [0.3, 10.0, 1000.0])
def test_the_gradient_vanishes_at_the_fitted_head(penalty: float) -> None:
    features, labels = blobs(300, 4)
    head = fit(features, labels, 4, penalty)
    inputs = (features - head.mean) / head.scale
    rest = head.probabilities(features) - np.eye(4)[labels]
    gradient = inputs.T @ rest + penalty * head.weights[:-1]
    assert np.abs(gradient).max() < 0.02 * np.abs(inputs.T @ (np.full((300, 4), 0.25) - np.eye(4)[labels])).max()
    assert abs(rest.sum(axis=0)).max() < 3


def test_the_head_separates_the_classes() -> None:
    features, labels = blobs(600, 5, distance=4)
    head = fit(features[:400], labels[:400], 5, 3.0)
    assert (head.logits(features[400:]).argmax(axis=1) == labels[400:]).mean() > 0.95


def test_a_strong_penalty_is_chosen_for_noise() -> None:
    random = np.random.default_rng(0)
    noise = random.normal(size=(120, 40)).astype(np.float32)
    assert choose_penalty(noise, random.integers(0, 3, 120), 3) >= 300
    features, labels = blobs(2000, 3, distance=2)
    assert choose_penalty(features, labels, 3) == min(PENALTIES)


def test_folds_are_stratified_and_deterministic() -> None:
    labels = np.repeat([0, 1, 2], [50, 23, 7])
    fold = folds(labels, 5)
    assert np.array_equal(fold, folds(labels, 5))
    counts = np.array([[((fold == number) & (labels == label)).sum() for label in range(3)] for number in range(5)])
    assert (counts.max(axis=0) - counts.min(axis=0) <= 1).all()


def test_flipped_labels_come_first() -> None:
    features, truth = blobs(800, 5, distance=4.5)
    random = np.random.default_rng(1)
    flipped = random.choice(800, 40, replace=False)
    labels = truth.copy()
    labels[flipped] = (truth[flipped] + random.integers(1, 5, 40)) % 5
    shares = held_out_probabilities(features, labels, 5, 3.0)
    ranking = rank_labels(shares, labels)
    assert np.isin(flipped, ranking.order[:64]).mean() > 0.9
    assert 20 <= ranking.issue_count <= 50
    assert (ranking.suggested[flipped] == truth[flipped]).mean() > 0.9


def test_images_are_judged_out_of_sample() -> None:
    random = np.random.default_rng(0)
    noise, labels = random.normal(size=(200, 300)).astype(np.float32), random.integers(0, 2, 200)
    shares = held_out_probabilities(noise, labels, 2, 100.0)
    assert (shares.argmax(axis=1) == labels).mean() < 0.65, "noise cannot tell classes apart, unless labels leak"
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_ranking_by_hand() -> None:
    shares = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.45, 0.55], [0.1, 0.9], [0.7, 0.3]])
    ranking = rank_labels(shares, np.array([0, 0, 1, 1, 0, 1]))
    assert ranking.order.tolist() == [4, 5, 3, 1, 2, 0]
    assert ranking.issue_count == 2, "numbers 4 and 5"


def test_the_learning_curve_flattens() -> None:
    classes = tuple("abcd")
    held_out = blobs(800, 4, seed=9, distance=1.8)
    few = learning_curve(blobs(40, 4, distance=1.8), held_out, classes, 3.0)
    many = learning_curve(blobs(4000, 4, distance=1.8), held_out, classes, 3.0)
    assert few is not None and many is not None
    assert [point.images for point in few.points] == [10, 20, 30, 40]
    assert few.points[-1].accuracy > few.points[0].accuracy + 0.03
    assert abs(many.gain) < 0.02
    assert many.accuracy.value == many.points[-1].accuracy > few.points[-1].accuracy


def test_the_class_with_few_images_needs_more() -> None:
    features, labels = blobs(900, 3, distance=1.5)
    selected = (labels != 1) | (np.arange(900) < 60)
    held_out = blobs(900, 3, seed=4, distance=1.5)
    curve = learning_curve((features[selected], labels[selected]), held_out, ("a", "b", "c"), 3.0)
    assert curve is not None
    assert curve.classes_in_need()[0] == 1
    assert curve.to_data()["need_images"][0] == "b"


def test_too_few_images_have_no_learning_curve() -> None:
    features, labels = blobs(9, 3)
    assert learning_curve((features, labels), blobs(30, 3), ("a", "b", "c"), 3.0) is None
