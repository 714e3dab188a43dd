"""The rounding of weights by what they multiply: never worse than the nearest on these images, and kept in a record."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from opsin import nn
from opsin.backends.reference import compile as reference
from opsin.base.errors import ModelError
from opsin.ir import Graph, initial_state
from opsin.ops import OPS
from opsin.quantization.adaptive_rounding import (
    MAX_INPUTS,
    Covariance,
    adapt_rounding,
    covariances,
    farther,
    rounded_weights,
    squared_error,
)
from opsin.quantization.partition import steps_of
from opsin.quantization.quantize import calibrated, quantize_graph
from opsin.quantization.ranges import Observation, Ranges
from opsin.quantization.record import ranges_from_data, ranges_to_data
from opsin.quantization.scales import Scale
from opsin.quantization.simulation import simulate_graph
from opsin.quantization.steps import Product, Window
from opsin.quantization.weights import integer_weights, nearest, to_neighbours
from tests.quantization.networks import NETWORKS, Array, network
from tests.quantization.test_quantize import noise, run


def adapted(graph: Graph, state: dict[str, Array], images: Array) -> Ranges:
    ranges = calibrated(graph, state, images, reference)
    adapt_rounding(graph, state, ranges, images, reference)
    return ranges


def covariance_of(groups: int, size: int, seed: int = 0) -> Covariance:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(groups, 4 * size, size)) @ rng.normal(size=(groups, size, size))
    rows -= rows.mean(axis=1, keepdims=True)
    return (rows.transpose(0, 2, 1) @ rows / rows.shape[1]).astype(np.float32)


@pytest.mark.parametrize("shape, groups", [((6, 8, 3, 3), 1), ((6, 1, 3, 5), 6), ((9, 5, 1, 1), 3), ((1, 1, 1, 1), 1)])
def test_errors_of_results_are_smaller_than_of_the_nearest(shape: tuple[int, ...], groups: int) -> None:
    scaled = np.random.default_rng(1).uniform(-128, 128, shape)
    covariance = covariance_of(groups, int(np.prod(shape[1:])))
    chosen = to_neighbours(scaled, np.packbits(farther(scaled, covariance)))
    assert (np.abs(chosen - np.clip(scaled, -127, 127)) < 1).all() and np.abs(chosen).max() <= 127

    def error(rounded: Array) -> Array:
        return squared_error((rounded - scaled).reshape(groups, -1, covariance.shape[1]), covariance)

    assert (error(chosen) <= error(nearest(scaled)) * (1 + 1e-9)).all()
    if covariance.shape[1] > 1:
        assert error(chosen).sum() < 0.8 * error(nearest(scaled)).sum()


def test_two_equal_inputs_share_their_error() -> None:
    chosen = to_neighbours(
        np.full((1, 2, 1, 1), 3.4), np.packbits(farther(np.full((1, 2, 1, 1), 3.4), np.ones((1, 2, 2))))
    )
    assert sorted(chosen.reshape(-1)) == [3, 4], "3 + 4 is nearer to 6.8 than 3 + 3"


def test_weights_of_constant_inputs_are_rounded_to_the_nearest() -> None:
    scaled, covariance = np.random.default_rng(2).uniform(-9, 9, (7, 6, 1, 1)), covariance_of(1, 6)
    covariance[:, 2], covariance[:, :, 2] = 0, 0
    chosen = farther(scaled, covariance)
    assert chosen.any() and not chosen[:, 2].any()
    assert not farther(scaled, np.zeros_like(covariance)).any(), "no input varies"


@pytest.mark.parametrize(
    "shape, window",
    [
        ((6, 2, 3, 2), Window((2, 1), ((1, 0), (2, 1)), (1, 2), 2)), ((4, 1, 3, 3), Window(groups=4)),
        ((5, 4, 1, 1), Window()),
    ],
)  # fmt: skip
def test_covariances_are_those_of_what_filters_multiply(shape: tuple[int, ...], window: Window) -> None:
    graph = nn.trace(nn.Sequential(nn.ReLU(), nn.Conv2d(2, 1)), (4, 7, 6))
    state, images = initial_state(graph, 0), np.random.default_rng(3).normal(size=(16, 4, 7, 6)).astype(np.float32)
    (step,) = (s for s in steps_of(graph, state) if isinstance(s, Product))
    step, x = replace(step, weight=np.zeros(shape), window=window), np.maximum(images, 0)
    mean = x.mean((0, 2, 3), np.float64)
    observation = Observation(graph, state, step.inputs, images, reference, None)
    (found,) = covariances([step], {step.inputs[0]: mean}, observation).values()
    weight = np.random.default_rng(4).normal(size=shape)
    attrs = {"stride": window.stride, "padding": window.padding, "dilation": window.dilation, "groups": window.groups}
    results = OPS["conv2d"].evaluate(x.astype(np.float64), weight, **attrs)
    per_group = weight.reshape(window.groups, -1, int(np.prod(shape[1:])))
    constant = weight.sum((2, 3)).reshape(window.groups, -1, shape[1]) @ mean.reshape(window.groups, -1, 1)
    expected = ((results - constant.reshape(-1, 1, 1)) ** 2).mean((0, 2, 3))
    np.testing.assert_allclose(squared_error(per_group, found).reshape(-1), expected, rtol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_nearer_to_those_of_real_numbers(name: str) -> None:
    graph, state, images = network(name)
    ranges, exact = adapted(graph, state, images), run(graph, state, images)
    found, plain = (
        noise(run(*quantize_graph(graph, state, each), images), exact) for each in (ranges, replace(ranges, farther={}))
    )
    assert ranges.farther and found < 1.05 * plain


def test_the_rounding_is_the_same_each_time_and_in_a_file() -> None:
    graph, state, images = network("depthwise")
    first, second = (adapted(graph, state, images) for _ in range(2))
    data = json.loads(json.dumps(ranges_to_data(first, graph)))
    for other in (second, ranges_from_data(data, graph)):
        assert list(other.farther) == list(first.farther)
        assert all(np.array_equal(other.farther[t], bits) for t, bits in first.farther.items())
    plain, chosen = (quantize_graph(graph, state, r)[1] for r in (replace(first, farther={}), first))
    weights = [name for name in chosen if name.endswith("weight_int8")]
    assert all(np.abs(chosen[n].astype(int) - plain[n]).max() <= 1 for n in weights)
    simulated = simulate_graph(graph, state, first).rounded
    assert all(np.array_equal(simulated[n].integers.reshape(chosen[n].shape), chosen[n]) for n in weights)


def test_learned_and_large_layers_keep_their_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, state, images = network("plain")
    ranges = calibrated(graph, state, images, reference)
    products = [step for step in steps_of(graph, state) if isinstance(step, Product)]
    ranges.steps[products[0].output] = np.full(len(products[0].weight), 0.01)
    monkeypatch.setattr("opsin.quantization.adaptive_rounding.MAX_INPUTS", products[1].weight[0].size - 1)
    adapt_rounding(graph, state, ranges, images, reference)
    assert MAX_INPUTS > 1000 and set(ranges.farther) == {products[2].output, products[3].output} - {
        step.output for step in products if step.weight[0].size >= products[1].weight[0].size
    }
    ranges.steps.update({step.output: np.full(len(step.weight), 0.01) for step in products})
    ranges.farther.clear()
    adapt_rounding(graph, state, ranges, images, reference)
    assert not ranges.farther


def test_weights_with_a_rounding_are_counted() -> None:
    graph, state, images = network("plain")
    bits = sum(8 * array.size for array in adapted(graph, state, images).farther.values())
    assert 0 <= bits - rounded_weights(graph) < 8 * 4
    large = nn.trace(nn.Sequential(nn.Flatten(), nn.Linear(2)), (1, 50, 50))
    assert rounded_weights(large) == 0


def test_the_rounding_of_another_network_is_refused() -> None:
    step = Product(None, (), None, np.ones((2, 9, 1, 1)), np.zeros(2), None)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="does not belong to the network"):
        integer_weights(step, Scale(0.1, 0), farther=np.zeros(2, np.uint8))
    graph, _, _ = network("plain")
    for text in ("no base64!", "AAAA"):
        data = ranges_to_data(Ranges(), graph) | {"farther": {"0": text}}
        with pytest.raises(ModelError, match="the ranges for 8-bit integers"):
            ranges_from_data(data, graph)
