"""Last layers for classes with a few images, computed in closed form, and their results on images left out."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from opsin.training.few_shot import PENALTIES, PROTOTYPES, SCALE, _layer, choose, fit, left_out, scores_left_out
from opsin.training.few_shot import share_interval as interval

Array = NDArray[np.float64]


def vectors(counts: tuple[int, ...], spread: float = 0.5, seed: int = 0) -> tuple[Array, NDArray[np.intp]]:
    """Return unit vectors around a centre for each class, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    x = rng.standard_normal((len(counts), 12))[labels] + spread * rng.standard_normal((len(labels), 12))
    return x / np.linalg.norm(x, axis=1, keepdims=True), labels


@pytest.mark.parametrize("method", [PROTOTYPES, *PENALTIES])
def test_scores_left_out_are_those_of_a_fit_without_the_image(method: str) -> None:
    x, labels = vectors((4, 2, 3))
    scores = scores_left_out(method, x @ x.T, labels, 3)
    for image in range(len(x)):
        others = np.delete(np.arange(len(x)), image)
        weights, bias = _layer(method, x[others], labels[others], 3)
        np.testing.assert_allclose(scores[image], x[image] @ weights.T + bias, atol=1e-9)


def test_prototypes_are_the_nearest_means() -> None:
    x, labels = vectors((3, 3, 3))
    weights, bias = _layer(PROTOTYPES, x, labels, 3)
    means = np.stack([x[labels == label].mean(axis=0) for label in range(3)])
    queries = np.random.default_rng(1).standard_normal((50, 12))
    nearest = ((queries[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal((queries @ weights.T + bias).argmax(axis=1), nearest)


def test_the_method_of_an_image_is_chosen_without_it() -> None:
    x, labels = vectors((3, 3), spread=2.0, seed=3)
    products = x @ x.T
    results = left_out(products, labels, 2)
    for row, image in enumerate(results.images):
        others = np.delete(np.arange(len(x)), image)
        method = choose(products[np.ix_(others, others)], labels[others], 2)
        np.testing.assert_allclose(results.logits[row], SCALE * scores_left_out(method, products, labels, 2)[image])


def test_only_images_with_others_of_their_class_are_left_out() -> None:
    x, labels = vectors((1, 3, 2))
    fitted = fit(x, labels, 3)
    assert fitted.left_out.images.tolist() == [1, 2, 3, 4, 5] and np.isfinite(fitted.left_out.logits[:, 1:]).all()
    assert fitted.weights.shape == (3, 12) and np.isfinite(fitted.weights).all()
    lone = fit(*vectors((1, 1)), 2)
    assert len(lone.left_out) == 0 and lone.to_data() == {"method": PROTOTYPES}


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
