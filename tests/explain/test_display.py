"""The map over the image: from 0 to 1, never NaN, and never empty without a sentence."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from opsin import nn
from opsin.explain import METHODS, Explainer, attribute
from opsin.explain.attribution.display import display_map, sentences_about
from tests.explain.networks import flattened, images, model_of, pooled

Floats = NDArray[np.float64]


def enlarged(values: Floats, height: int, width: int) -> Floats:
    """Bilinear interpolation between the centres of pixels, one pixel at a time."""
    rows, columns = values.shape
    result = np.empty((height, width))
    for y in range(height):
        v = min(max((y + 0.5) * rows / height - 0.5, 0), rows - 1)
        for x in range(width):
            u = min(max((x + 0.5) * columns / width - 0.5, 0), columns - 1)
            i, j = int(v), int(u)
            below, right = min(i + 1, rows - 1), min(j + 1, columns - 1)
            upper = values[i, j] * (1 - (u - j)) + values[i, right] * (u - j)
            lower = values[below, j] * (1 - (u - j)) + values[below, right] * (u - j)
            result[y, x] = upper * (1 - (v - i)) + lower * (v - i)
    return result


def test_display_is_stretched_enlarged_and_stretched_again() -> None:
    raw = np.random.default_rng(3).normal(size=(4, 5))
    positive = np.maximum(raw, 0)
    small = (positive - positive.min()) / (positive - positive.min()).max()
    large = enlarged(small, 13, 17)
    expected = (large - large.min()) / (large - large.min()).max()
    display = display_map(raw, (13, 17))
    np.testing.assert_allclose(display, expected, atol=1e-12)
    assert (display.min(), display.max()) == (0, 1)


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1e12, 1e300])
def test_display_does_not_depend_on_the_scale(scale: float) -> None:
    raw = np.random.default_rng(4).normal(size=(3, 3))
    np.testing.assert_allclose(display_map(raw * scale, (9, 9)), display_map(raw, (9, 9)), atol=1e-12)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (np.zeros((3, 3)), "0 everywhere"),
        (-np.ones((3, 3)), "Nothing in this layer supports 'cat'"),
        (np.full((3, 3), 2.5), "supports 'cat' equally"),
        (np.array([[1.0, np.nan]]), "infinite or undefined"),
        (np.array([[1.0, np.inf]]), "infinite or undefined"),
    ],
)
def test_maps_that_show_nothing_say_so(raw: Floats, sentence: str) -> None:
    (said,) = sentences_about(raw, "cat", "this layer")
    assert sentence in said


def test_a_map_that_shows_something_says_nothing() -> None:
    assert sentences_about(np.array([[1.0, 0.0], [-3.0, 0.5]]), "cat", "this layer") == ()


@pytest.mark.parametrize("case", ["dead", "constant", "saturated"])
def test_hostile_networks_give_no_nan(case: str) -> None:
    model = model_of(flattened() if case != "saturated" else pooled())
    pixels = images(model)
    if case == "dead":  # no value of the last ReLU is positive
        model.state["conv2.bias"] = np.full_like(model.state["conv2.bias"], -1e4)
    if case == "constant":
        pixels = np.full_like(pixels, 115)
    if case == "saturated":  # a probability of 1, whose gradient is 0
        model.state["fc.weight"] = model.state["fc.weight"] * np.float32(1e4)
    for method in METHODS:
        result = attribute(model, pixels, method=method, label="dog")[0]
        assert np.isfinite(result.raw).all(), method
        assert np.isfinite(result.display).all(), method
        assert result.display.shape == pixels.shape[2:]
        assert bool(result.sentences) == (result.display.max() == 0), method
        if case == "dead" and METHODS[method].needs_layer:
            assert "0 everywhere" in result.sentences[0]


def test_infinite_numbers_give_a_sentence() -> None:
    model = model_of(pooled())
    model.state["conv2.weight"] = np.full_like(model.state["conv2.weight"], 3e38)
    result = attribute(model, images(model), method="hires-cam", label="cat")[0]
    assert "infinite or undefined" in result.sentences[0]
    assert not result.display.any()
    assert not result.raw.any()


def test_grey_images_and_one_channel() -> None:
    network = nn.Sequential(("conv", nn.Conv2d(1, 3)), ("act", nn.ReLU()), ("flat", nn.Flatten()), ("fc", nn.Linear(4)))
    model = model_of(network, (1, 8, 9))
    for method in METHODS:
        assert attribute(model, images(model), method=method)[0].display.shape == (8, 9)


def test_scores_are_logits() -> None:
    model = model_of(pooled())
    pixels = images(model, 2)
    logits = Explainer(model).observer.outputs(pixels)["logits"]
    for result, row in zip(attribute(model, pixels), logits, strict=True):
        assert result.score == pytest.approx(float(row.max()), rel=1e-6)
        assert result.label == model.labels[int(row.argmax())]
