"""Scores against scikit-learn and against searches by brute force."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.base.errors import DataError
from opsin.tasks.segmentation.boundary import boundary_f1, dilated
from opsin.tasks.segmentation.metrics import SegmentationScore, confusion_matrix
from tests.support import Array

NAMES = ("a", "b", "c", "d", "never")


def pair(rng: np.random.Generator, shape: tuple[int, ...] = (3, 20, 30)) -> tuple[Array, Array]:
    labels = rng.integers(0, 4, shape).astype(np.uint8)
    found = np.where(rng.random(shape) < 0.6, labels, rng.integers(0, 4, shape)).astype(np.uint8)
    labels[rng.random(shape) < 0.2] = 255
    return labels, found


def test_scores_equal_those_of_sklearn(rng: np.random.Generator) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    labels, found = pair(rng)
    score = SegmentationScore.of(NAMES, labels, found)
    true, guess = labels[labels != 255], found[labels != 255]
    assert (score.confusion == metrics.confusion_matrix(true, guess, labels=range(5))).all()
    assert score.iou[:4] == pytest.approx(metrics.jaccard_score(true, guess, average=None))
    assert score.dice[:4] == pytest.approx(metrics.f1_score(true, guess, average=None))
    assert np.isnan(score.iou[4]) and np.isnan(score.dice[4]) and np.isnan(score.boundary_f1[4])
    assert score.mean_iou == pytest.approx(metrics.jaccard_score(true, guess, average="macro"))
    assert score.pixel_accuracy == pytest.approx(metrics.accuracy_score(true, guess))
    assert score.foreground_iou is None


def test_scores_of_parts_add_up(rng: np.random.Generator) -> None:
    labels, found = pair(rng)
    whole, total = SegmentationScore.of(NAMES, labels, found), SegmentationScore.empty(NAMES)
    for one, other in zip(labels, found, strict=True):
        total = total + SegmentationScore.of(NAMES, one[None], other[None])
    assert total.as_dict() == pytest.approx(whole.as_dict())
    assert np.isnan(SegmentationScore.empty(NAMES).mean_iou) and not SegmentationScore.empty(NAMES).as_dict()


def test_foreground_iou_is_over_all_pixels() -> None:
    labels, found = np.zeros((2, 2, 4), np.uint8), np.zeros((2, 2, 4), np.uint8)
    labels[0, 0, 0] = labels[1, 0] = found[1, 0, :2] = found[1, 1, 0] = 1
    score = SegmentationScore.of(("background", "foreground"), labels, found)
    assert score.foreground_iou == pytest.approx(2 / 6)
    assert score.mean_iou == pytest.approx((2 / 6 + 10 / 14) / 2)
    assert score.as_dict()["foreground_iou"] == score.foreground_iou


def near(points: Array, others: Array, reach: float) -> float:
    places = np.argwhere(others)
    hits = [((places - point) ** 2).sum(1).min() <= reach**2 for point in np.argwhere(points)] if len(places) else [0]
    return float(np.mean(hits)) if points.any() else 0.0


def outline(ids: Array, number: int) -> Array:
    edge = np.zeros(ids.shape, bool)
    for y, x in np.argwhere(ids == number):
        for down, right in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            v, u = y + down, x + right
            if 0 <= v < ids.shape[0] and 0 <= u < ids.shape[1]:
                edge[y, x] |= ids[v, u] not in (number, 255)
    return edge


@pytest.mark.parametrize("tolerance", [0.0, 0.02, 0.06, 0.2])
def test_boundary_f1_equals_a_search(tolerance: float, rng: np.random.Generator) -> None:
    labels, found = np.zeros((2, 40, 50), np.uint8)
    labels[8:25, 10:30], found[10:28, 9:31] = 1, 1
    labels[30:, :20], found[rng.random(found.shape) < 0.01] = 2, 2
    labels[:5, 40:] = 255
    expected, masked = [], np.where(labels == 255, 255, found)
    for number in range(3):
        true, guess = outline(labels, number), outline(masked, number)
        reach = tolerance * np.hypot(40, 50)
        precision, recall = near(guess, true, reach), near(true, guess, reach)
        expected.append(2 * precision * recall / max(precision + recall, 1e-12))
    assert boundary_f1(labels, found, 3, tolerance) == pytest.approx(expected)
    assert expected[1] > 0.1 or tolerance == 0


def test_perfect_and_missing_outlines() -> None:
    labels = np.zeros((30, 40), np.uint8)
    labels[5:20, 5:20] = 1
    assert boundary_f1(labels, labels, 2).tolist() == [1, 1]
    assert boundary_f1(labels, np.zeros_like(labels), 2).tolist() == [0, 0]
    assert np.isnan(boundary_f1(np.ones_like(labels), np.ones_like(labels), 2)).all()


@pytest.mark.parametrize("reach", [0.0, 1.0, 1.5, 2.9, 7.0, 100.0])
def test_dilation_is_by_a_disc(reach: float, rng: np.random.Generator) -> None:
    points = rng.random((17, 23)) < 0.02
    points[3, 4] = True
    y, x = np.mgrid[:17, :23]
    expected = np.any([(y - v) ** 2 + (x - u) ** 2 <= reach**2 for v, u in np.argwhere(points)], axis=0)
    assert (dilated(points, reach) == expected).all()


def test_errors() -> None:
    with pytest.raises(DataError, match="differ; give a prediction per pixel"):
        confusion_matrix(np.zeros((2, 2), int), np.zeros((2, 3), int), 2)
    with pytest.raises(DataError, match="ids from 0 to 7, but there are 2 classes"):
        confusion_matrix(np.array([0, 7]), np.array([0, 1]), 2)
    with pytest.raises(DataError, match="cannot be added"):
        SegmentationScore.empty(("a", "b")) + SegmentationScore.empty(("a", "c"))
