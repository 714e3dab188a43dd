"""The formulas of the papers, place by place in loops, and gradients that are known in closed form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from opsin.explain import METHODS, Explainer
from opsin.model import Model
from tests.explain.networks import flattened, float64, images, model_of, pooled

Floats = NDArray[np.float64]
CAMS = ("grad-cam", "grad-cam++", "xgrad-cam", "hires-cam", "layer-cam")


def convolved(x: Floats, weight: Floats, bias: Floats) -> Floats:
    """3 × 3 convolution with padding 1 of one image, C × H × W, in loops."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    _, height, width = x.shape
    result = np.empty((len(weight), height, width))
    for k in range(len(weight)):
        for i in range(height):
            for j in range(width):
                result[k, i, j] = (padded[:, i : i + 3, j : j + 3] * weight[k]).sum() + bias[k]
    return result


def last_maps(model: Model, pixels: NDArray[np.uint8]) -> Floats:
    """The output of the second ReLU for one image."""
    state = {name: values.astype(np.float64) for name, values in model.state.items()}
    x = model.preprocessing.apply(pixels[None])[0].astype(np.float64)
    first = np.maximum(convolved(x, state["conv1.weight"], state["conv1.bias"]), 0)
    channels, height, width = first.shape
    halved = first.reshape(channels, height // 2, 2, width // 2, 2).max(axis=(2, 4))
    return np.maximum(convolved(halved, state["conv2.weight"], state["conv2.bias"]), 0)


def gradient(model: Model, label: int, shape: tuple[int, ...]) -> Floats:
    """That of a logit for the last maps: rows of the linear layer's weight."""
    weight = model.state["fc.weight"][label].astype(np.float64)
    if weight.size == np.prod(shape):
        return weight.reshape(shape)
    return np.broadcast_to(weight[:, None, None] / (shape[1] * shape[2]), shape)


def by_loops(method: str, a: Floats, g: Floats) -> Floats:
    channels, height, width = a.shape
    places = [(i, j) for i in range(height) for j in range(width)]
    result = np.zeros((height, width))
    for k in range(channels):
        alpha = 0.0
        total = sum(a[k, i, j] for i, j in places)
        for i, j in places:
            d = g[k, i, j]
            if method == "grad-cam":
                alpha += d / len(places)
            elif method == "xgrad-cam":
                alpha += d * a[k, i, j] / (total + 1e-7)
            elif method == "grad-cam++" and d > 0:
                alpha += d * d * d / (2 * d * d + total * d * d * d + 1e-6)
        for i, j in places:
            if method == "hires-cam":
                result[i, j] += g[k, i, j] * a[k, i, j]
            elif method == "layer-cam":
                result[i, j] += max(g[k, i, j], 0) * a[k, i, j]
            else:
                result[i, j] += alpha * a[k, i, j]
    return result


@pytest.mark.parametrize("network", [pooled, flattened])
@pytest.mark.parametrize("method", CAMS)
def test_maps_are_those_of_the_papers(method: str, network: Callable[[], object]) -> None:
    model = model_of(network(), engine=float64)  # type: ignore[arg-type]
    pixels = images(model, 4)
    explainer = Explainer(model)
    labels = ("cat", "dog", "eel", "fox")
    scores = [explainer.scores(pixels[n : n + 1], label)[0][0] for n, label in enumerate(labels)]
    results = explainer.explain(pixels, scores, [method])[method]
    for number, result in enumerate(results):
        maps = last_maps(model, pixels[number])
        expected = by_loops(method, maps, gradient(model, number, maps.shape))
        np.testing.assert_allclose(result.raw, expected, rtol=1e-9, atol=1e-12)
        assert result.layer == "act2"
        assert result.label == labels[number]


def test_channel_weights_are_those_of_the_sum() -> None:
    model = model_of(flattened(), engine=float64)
    pixels = images(model)
    explainer = Explainer(model)
    scores = explainer.scores(pixels)[0]
    values = last_maps(model, pixels[0])
    for method, results in explainer.explain(pixels, scores, CAMS[:3]).items():
        weights = results[0].channel_weights
        assert weights is not None, method
        np.testing.assert_allclose(results[0].raw, np.tensordot(weights, values, 1), rtol=1e-9, atol=1e-12)


def test_many_images_give_the_maps_of_single_ones() -> None:
    model = model_of(flattened())
    pixels = images(model, 5)
    explainer = Explainer(model)
    scores = [each[0] for each in explainer.scores(pixels)]
    together = explainer.explain(pixels, scores, list(METHODS))
    for method, results in together.items():
        for number, result in enumerate(results):
            alone = explainer.explain(pixels[number : number + 1], [scores[number]], [method])[method][0]
            np.testing.assert_allclose(result.raw, alone.raw, rtol=1e-4, atol=1e-5)


def test_layers_from_one_run_give_the_maps_of_single_layers() -> None:
    model = model_of(flattened())
    pixels, explainer = images(model), Explainer(model)
    scores = explainer.scores(pixels)[0]
    layers = explainer.layers(scores[0]).layers
    together = explainer.explain_layers(pixels, scores, ["grad-cam", "hires-cam"], layers)
    assert [layer.name for layer in layers] == ["conv1", "act1", "pool1", "conv2", "act2"]
    for layer, (_, results) in zip(layers, together, strict=True):
        for method in ("grad-cam", "hires-cam"):
            alone = explainer.explain(pixels, scores, [method], layer.name)[method][0]
            np.testing.assert_allclose(results[method][0].raw, alone.raw, rtol=1e-5, atol=1e-7)
            assert results[method][0].layer == layer.name
