"""Faithfulness: where the answer is known to depend on a part of the image alone."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.explain import Explainer
from opsin.explain.faithfulness import Comparison, Confidence, Faithfulness, measure, measure_baselines
from opsin.explain.faithfulness.baselines import centred_gaussian, edges, random_map
from opsin.explain.faithfulness.blur import blurred
from opsin.explain.faithfulness.comparison import bootstrap
from opsin.explain.faithfulness.curves import Curve, between, counts
from opsin.explain.faithfulness.imputation import impute
from opsin.explain.faithfulness.ranking import ranks
from opsin.tasks.explained_score import ExplainedScore, one_hot
from tests.explain.networks import model_of, pooled
from tests.explain.squares import square_confidence, square_image


def test_the_place_that_counts_beats_all_baselines_and_its_opposite() -> None:
    confidence, place = square_confidence(), np.zeros((16, 16))
    place[2:6, 9:13] = 1
    good, bad = measure(confidence, place), measure(confidence, 1 - place)
    assert good.insertion_deletion > 0.7
    assert good.road > 0.2
    assert good.drop == pytest.approx(0, abs=0.01)
    assert bad.insertion_deletion < 0
    assert bad.road < 0
    assert bad.drop > 0.9
    comparison = Comparison.of({"good": [good], "bad": [bad]}, [measure_baselines(confidence)])
    assert comparison.unbeaten("good") == []
    assert comparison.unbeaten("bad") == ["random map", "centred Gaussian", "edge detector"]
    assert "beats every baseline" in comparison.sentence("good", "This")
    assert "do not trust" in comparison.sentence("bad", "This")


def test_curves_begin_and_end_with_the_whole_images() -> None:
    confidence = square_confidence()
    result = measure(confidence, centred_gaussian((16, 16)))
    ends = np.stack([confidence.image, blurred(confidence.image), np.zeros_like(confidence.image)])
    original, blurry, blank = confidence(ends)
    np.testing.assert_allclose(result.insertion_curve.confidences[[0, -1]], [blurry, original])
    np.testing.assert_allclose(result.deletion_curve.confidences[[0, -1]], [original, blank])
    curve = result.deletion_curve
    by_hand = sum(
        (curve.confidences[n] + curve.confidences[n + 1]) / 2 * (curve.shares[n + 1] - curve.shares[n])
        for n in range(len(curve.shares) - 1)
    )
    assert result.deletion == pytest.approx(by_hand)


@pytest.mark.parametrize("pixels", [3, 10, 11, 784, 50176])
def test_steps_change_all_pixels_in_equal_parts(pixels: int) -> None:
    steps = np.diff(counts(pixels))
    assert counts(pixels)[0] == 0
    assert counts(pixels)[-1] == pixels
    assert (steps[:-1] == steps[0]).all()
    assert 0 < steps[-1] <= steps[0]


def test_pixels_change_in_the_order_of_the_map() -> None:
    display = np.random.default_rng(0).random((4, 5))
    order = ranks(display, 0)
    assert [display.reshape(-1)[order.reshape(-1) == n][0] for n in range(20)] == sorted(
        display.reshape(-1), reverse=True
    )
    images = between(np.zeros((1, 4, 5), np.float32), np.ones((1, 4, 5), np.float32), order)
    assert images.sum(axis=(1, 2, 3)).tolist() == [2, 4, 6, 8, 10, 12, 14, 16, 18]
    assert (images[4, 0] == (display > np.median(display))).all()


def test_equal_values_are_in_random_but_repeatable_order() -> None:
    first, again, other = ranks(np.zeros((8, 8)), 0), ranks(np.zeros((8, 8)), 0), ranks(np.zeros((8, 8)), 1)
    assert (first == again).all()
    assert (first != other).any()
    assert sorted(first.reshape(-1).tolist()) == list(range(64))


def direct_imputation(image: np.ndarray, removed: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """The solution of the system of equations, by elimination."""
    channels, height, width = image.shape
    matrix, values = np.eye(height * width), image.reshape(channels, -1).T.astype(np.float64)
    for row, column in np.argwhere(removed):
        place = row * width + column
        matrix[place], values[place] = 0, 0
        for i in range(max(0, row - 1), min(height, row + 2)):
            for j in range(max(0, column - 1), min(width, column + 2)):
                weight = {0: 0.0, 1: 1 / 6, 2: 1 / 12}[abs(i - row) + abs(j - column)]
                matrix[place, i * width + j] -= weight
                matrix[place, place] += weight
    return np.linalg.solve(matrix, values).T.reshape(image.shape)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_imputation_solves_the_equations_of_neighbours(share: float) -> None:
    image = 10 * blurred(np.random.default_rng(1).normal(size=(2, 18, 21)).astype(np.float32))
    display = random_map((18, 21), 3)
    removed = display > np.quantile(display, 1 - share)
    found = impute(image, removed[None], 0)[0]
    np.testing.assert_array_equal(found[:, ~removed], image[:, ~removed])
    expected = direct_imputation(image, removed)
    assert np.abs(found - expected).mean() < 0.05 * image.std() + 0.01  # and the noise
    assert np.abs(found - expected).max() < 0.5 * image.std()


def test_imputation_of_everything_is_the_mean_colour_with_noise() -> None:
    found = impute(np.ones((3, 40, 40), np.float32), np.ones((1, 40, 40), bool), 0)
    assert abs(found.mean()) < 0.001
    assert found.std() == pytest.approx(0.01, rel=0.1)


def test_edges_are_those_of_sobel() -> None:
    image = np.zeros((1, 5, 6), np.float32)
    image[:, :, 3:] = 2
    strength = edges(image)
    assert (strength[:, 2:4] == 1).all()
    assert not strength[:, :2].any()
    assert not strength[:, 4:].any()
    assert not edges(np.ones((3, 4, 4), np.float32)).any()


def test_bounds_are_those_of_the_normal_distribution_for_many_values() -> None:
    values = np.random.default_rng(5).normal(3, 2, 400)
    figure = bootstrap(values)
    error = values.std() / 20
    assert figure.mean == pytest.approx(values.mean())
    assert figure.low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert figure.high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)
    assert bootstrap(values) == figure
    assert bootstrap(values[:4]).low is None


def test_a_score_without_probability_counts_by_its_distance() -> None:
    model = model_of(pooled())
    explainer = Explainer(model)
    score = ExplainedScore("x", "the value of 'x'", {"logits": one_hot((4,), 1)}, "identity")
    image = square_image()[:, :12, :10].repeat(3, axis=0).astype(np.float32)
    confidence = Confidence(explainer.observer, score, image)
    original, blank, _ = confidence(np.stack([image, 0 * image, 0.5 * image]))
    assert (original, blank) == (1, 0)


def test_figures_of_a_constant_confidence_say_nothing() -> None:
    def result(value: float) -> Faithfulness:
        shares = np.array([0.0, 1.0])
        return Faithfulness(Curve(shares, np.full(2, 0.01 + value)), Curve(shares, np.full(2, 0.01)), 0.0, 0.0, 0.0)

    flat = Comparison.of({"a": [result(1e-4)]}, [{"random map": [result(0), result(1e-6)]}])
    assert flat.unbeaten("a") == ["random map"]
    assert flat.sentence("a", "A").startswith("The confidence hardly changes, whichever pixels are removed (0.000)")
    steep = Comparison.of({"a": [result(0.2)]}, [{"random map": [result(0)]}])
    assert steep.unbeaten("a") == [] and steep.sentence("a", "A").startswith("A beats every baseline")
