"""Last layers for classes with a few images, computed in closed form, and their results on images left out."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from opsin.base.intervals import share_interval as interval
from opsin.training.few_shot import PENALTY, PROTOTYPES, RIDGE, SCALE, choose, fit, layer, left_out

Array = NDArray[np.float64]


def vectors(counts: tuple[int, ...], spread: float = 0.5, seed: int = 0) -> tuple[Array, NDArray[np.intp]]:
    """Return unit vectors around a centre for each class, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    x = rng.standard_normal((len(counts), 12))[labels] + spread * rng.standard_normal((len(labels), 12))
    return x / np.linalg.norm(x, axis=1, keepdims=True), labels


def test_prototypes_are_the_nearest_means() -> None:
    x, labels = vectors((3, 3, 3))
    weights, bias = layer(PROTOTYPES, x, labels, 3)
    means = np.stack([x[labels == label].mean(axis=0) for label in range(3)])
    queries = np.random.default_rng(1).standard_normal((50, 12))
    nearest = ((queries[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal((queries @ weights.T + bias).argmax(axis=1), nearest)


def test_ridge_regression_is_at_its_minimum() -> None:
    x, labels = vectors((4, 2, 3))
    weights, bias = layer(RIDGE, x, labels, 3)
    residuals = (x @ weights.T + bias) / SCALE - np.eye(3)[labels]
    np.testing.assert_allclose(residuals.T @ x + PENALTY * weights / SCALE, 0, atol=1e-9)
    np.testing.assert_allclose(residuals.sum(axis=0) + PENALTY * bias / SCALE, 0, atol=1e-9)


def test_one_image_of_each_class_is_left_out_at_a_time() -> None:
    x, labels = vectors((3, 3), spread=2.0, seed=3)
    results = left_out(x, labels, 2)
    assert results.images.tolist() == list(range(6))
    for place in range(3):
        out = [place, 3 + place]
        others = np.delete(np.arange(6), out)
        method = choose(x[others], labels[others], 2)  # without the images that are left out
        weights, bias = layer(method, x[others], labels[others], 2)
        np.testing.assert_allclose(results.logits[out], x[out] @ weights.T + bias)


def test_only_images_with_others_of_their_class_are_left_out() -> None:
    x, labels = vectors((1, 3, 2))
    fitted = fit(x, labels, 3)
    assert fitted.left_out.images.tolist() == [1, 2, 3, 4, 5] and np.isfinite(fitted.left_out.logits).all()
    assert fitted.weights.shape == (3, 12) and np.isfinite(fitted.weights).all()
    lone = fit(*vectors((1, 1)), 2)
    assert len(lone.left_out) == 0 and lone.to_data() == {"method": RIDGE}


def test_the_estimate_is_that_of_one_image_fewer() -> None:
    rng, estimated, measured = np.random.default_rng(5), 0.0, 0.0
    for seed in range(60):
        x, labels = vectors((22,) * 4, spread=1.6, seed=100 + seed)
        chosen = np.concatenate([rng.choice(np.flatnonzero(labels == label), 2, replace=False) for label in range(4)])
        others = np.setdiff1d(np.arange(len(labels)), chosen)
        fitted = fit(x[chosen], labels[chosen], 4)
        estimated += fitted.left_out.correct / len(fitted.left_out) / 60
        weights, bias = layer(RIDGE, x[chosen[::2]], labels[chosen[::2]], 4)
        measured += float(((x[others] @ weights.T + bias).argmax(axis=1) == labels[others]).mean()) / 60
    assert estimated == pytest.approx(measured, abs=0.05)


def test_noise_scores_as_chance() -> None:
    rng = np.random.default_rng(7)
    right = 0
    for _ in range(40):
        x = rng.standard_normal((10, 30))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        right += fit(x, np.repeat([0, 1], 5), 2).left_out.correct
    assert right / 400 < 0.55  # a choice that had seen the image would score higher


def test_a_share_has_wilsons_bounds() -> None:
    assert interval(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert interval(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
