"""The sanity check: maps that depend on the weights pass, maps of the image alone fail."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.explain import Explainer
from opsin.explain.attribution.method import Method, RawMap
from opsin.explain.attribution.question import Question
from opsin.explain.attribution.registry import METHODS
from opsin.explain.faithfulness.baselines import edges
from opsin.explain.sanity import RandomNetworks, layer_variables, mean_correlations, randomized, rank_correlation
from tests.explain.networks import flattened, images, model_of


def edge_maps(question: Question) -> list[RawMap]:
    return [RawMap(edges(image)) for image in question.inputs]


def test_an_edge_detector_fails_and_gradients_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "edges", Method("edges", "Edges", "", "", edge_maps, needs_layer=False))
    model = model_of(flattened(channels=16), (3, 16, 16))
    pixels = images(model, 3)
    scores = [each[0] for each in Explainer(model).scores(pixels)]
    checks = RandomNetworks(model).check(pixels, scores, ["edges", "integrated-gradients", "grad-cam"])
    assert checks["edges"].correlations == pytest.approx((1,) * 3)
    assert not checks["edges"].passed
    assert "shows the image rather than" in str(checks["edges"])
    for method in ("integrated-gradients", "grad-cam"):
        assert checks[method].passed, checks[method]
        assert abs(checks[method].correlations[-1]) < 0.3
    assert checks["grad-cam"].shares[-1] == 1


def test_the_model_stays_as_it_was() -> None:
    model = model_of(flattened())
    pixels, before = images(model), {name: array.copy() for name, array in model.state.items()}
    logits = model.logits(pixels)
    networks = RandomNetworks(model)
    networks.check(pixels, Explainer(model).scores(pixels)[0], ["grad-cam"])
    np.testing.assert_array_equal(model.logits(pixels), logits)
    for name, array in before.items():
        np.testing.assert_array_equal(model.state[name], array)


def test_layers_are_those_with_weights_in_order() -> None:
    model = model_of(flattened())
    assert layer_variables(model.graph) == [
        ["conv1.weight", "conv1.bias"], ["conv2.weight", "conv2.bias"], ["fc.weight", "fc.bias"],
    ]  # fmt: skip
    entry = zoo.find("resnet20_cifar")
    layers = layer_variables(nn.trace(entry(), entry.input_shape))
    assert len(layers) == 20
    norm = {f"bn1.{name}" for name in ("weight", "bias", "running_mean", "running_var")}
    assert set(layers[0]) == {"conv1.weight", *norm}


def test_random_weights_are_values_of_their_variable() -> None:
    state = {"a": np.arange(12, dtype=np.float32).reshape(3, 4), "b": np.ones(3, np.float32)}
    result = randomized(state, [["a"]], 0)
    assert set(result["a"].reshape(-1).tolist()) <= set(range(12)) and result["a"].shape == (3, 4)
    assert result["b"] is state["b"]
    assert (result["a"] != state["a"]).any()
    assert (result["a"] == randomized(state, [["a"]], 0)["a"]).all()
    assert (result["a"] != randomized(state, [["a"]], 1)["a"]).any()


def test_rank_correlation_is_spearmans() -> None:
    """Values of scipy.stats.spearmanr, ties included."""
    a = np.array([[1.0, 2.0, 2.0], [7.0, -3.0, 0.5]])
    b = np.array([[2.0, 2.0, 9.0], [8.0, 0.0, 0.0]])
    assert rank_correlation(a, a**3) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(-1)
    assert rank_correlation(a, b) == pytest.approx(SPEARMAN)
    assert rank_correlation(a, np.ones((2, 3))) == 0


SPEARMAN = 0.8508410434878082


def test_places_that_no_map_reaches_do_not_count() -> None:
    """Around a box, the maps of a detector are 0; with them, these unrelated maps would seem similar."""
    rng = np.random.default_rng(0)
    maps = np.zeros((4, 1, 20, 20))
    maps[:, 0, 4:11, 4:11] = rng.normal(size=(4, 7, 7))
    original, *others = [list(each) for each in maps]
    (value,) = mean_correlations(original, [others])
    inside = [rank_correlation(maps[0, 0, 4:11, 4:11], each[0][4:11, 4:11]) for each in others]
    assert value == pytest.approx(np.mean(inside)) and abs(value) < 0.3
    dots = np.zeros((2, 1, 20, 20))
    dots[:, 0, 5, 5:8] = 1
    assert mean_correlations(list(dots[0]), [[list(dots[1])]]) == ()
