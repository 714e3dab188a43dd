"""Quantized networks: close to those of real numbers, in integers alone, and bit-identical on every engine."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from opsin import nn, ops
from opsin.backends.native import compile as native
from opsin.backends.reference import Reference
from opsin.backends.reference import compile as reference
from opsin.base.errors import DataError
from opsin.ir import BATCH, FLOAT, INT8, Graph, Tensor, input_tensor
from opsin.quantization.demand import integer_tensors
from opsin.quantization.partition import steps_of
from opsin.quantization.quantize import calibrated, quantize_graph
from opsin.quantization.steps import Addition, Function, Join, Mean, Move, Multiplication, Product, Rest
from tests.quantization.networks import NETWORKS, Array, network

STEPS = {
    "plain": {Product: 4, Move: 2}, "depthwise": {Product: 4, Mean: 1, Move: 1},
    "residual": {Product: 4, Addition: 2, Function: 2, Move: 1},
    "gated": {Product: 4, Function: 2, Mean: 1, Multiplication: 1, Move: 1},
    "branches": {Product: 4, Function: 1, Join: 1, Mean: 1, Move: 1},
    "activations": {Product: 3, Function: 2, Move: 2},
}  # fmt: skip


def run(graph: Graph, state: dict[str, Array], images: Array) -> Array:
    program = Reference(graph, len(images))
    program.load_state(state)
    return program.run(inputs=images)["logits"]


def noise(found: Array, expected: Array) -> float:
    """The root mean square of the error, relative to that of what is expected."""
    return float(np.sqrt(((found - expected) ** 2).mean() / (expected**2).mean()))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_divided_into_few_steps(name: str) -> None:
    graph, state, _ = network(name)
    kinds = Counter(type(step) for step in steps_of(graph, state))
    moves = kinds.pop(Move, 0)
    expected = dict(STEPS[name])
    assert moves >= expected.pop(Move) and kinds == expected


@pytest.mark.parametrize("name", NETWORKS)
def test_results_are_close_to_those_of_real_numbers(name: str) -> None:
    graph, state, images = network(name)
    quantized, integers = quantize_graph(graph, state, calibrated(graph, state, images, reference))
    assert noise(run(quantized, integers, images), run(graph, state, images)) < 0.03


@pytest.mark.parametrize("name", NETWORKS)
def test_only_the_first_and_the_last_step_have_real_numbers(name: str) -> None:
    graph, state, images = network(name)
    quantized, _ = quantize_graph(graph, state, calibrated(graph, state, images, reference))
    names = [node.op.name for node in quantized.nodes if any(t.dtype == FLOAT for t in node.outputs) and node.inputs]
    assert names == ["cast", "multiply", "reshape"]
    assert sum(node.op.name == "quantize" for node in quantized.nodes) == 1


@pytest.mark.parametrize("name", NETWORKS)
def test_native_programs_compute_the_same_bits(name: str) -> None:
    graph, state, images = network(name)
    quantized, integers = quantize_graph(graph, state, calibrated(graph, state, images, reference))
    program = native(quantized, 5, 2)
    program.load_state(integers)
    found = program.run(inputs=images[:5])["logits"]
    np.testing.assert_array_equal(found, run(quantized, integers, images[:5]))


@pytest.mark.parametrize("name", ["plain", "gated"])
def test_pixels_as_input_give_the_same_bits(name: str) -> None:
    graph, state, _ = network(name)
    pixels = np.random.default_rng(3).integers(0, 256, (9, 3, 12, 12)).astype(np.uint8)
    factor, offset = np.array([1 / 128, 1 / 100, 1 / 90], np.float32), np.array([-1, -0.9, -1.1], np.float32)
    images = pixels.astype(np.float32) * factor.reshape(-1, 1, 1) + offset.reshape(-1, 1, 1)
    ranges = calibrated(graph, state, images, reference)
    expected = run(*quantize_graph(graph, state, ranges), images)
    by_pixels = quantize_graph(graph, state, ranges, normalization=(factor, offset))
    assert by_pixels[0].inputs[0].dtype == INT8
    np.testing.assert_array_equal(run(*by_pixels, (pixels ^ 128).view(np.int8)), expected)


def test_layers_may_stay_in_float32() -> None:
    graph, state, images = network("plain")
    ranges = calibrated(graph, state, images, reference)
    layers = [step.layer for step in steps_of(graph, state) if isinstance(step, Product)]
    exact = run(graph, state, images)
    errors = [noise(run(*quantize_graph(graph, state, ranges, layers[:count]), images), exact) for count in (0, 2, 4)]
    assert errors[0] > errors[1] > errors[2] == 0
    quantized, _ = quantize_graph(graph, state, ranges, layers[:1])
    assert [node.op.name for node in quantized.nodes if "conv2d" in node.op.name] == [
        "conv2d",
        "conv2d_int8",
        "conv2d_int8",
        "conv2d_int32",
    ]


def test_what_has_no_integer_arithmetic_stays_in_float32() -> None:
    x = input_tensor("inputs", (BATCH, 4, 6, 6))
    net = nn.Sequential(nn.Conv2d(4, 1), nn.Upsample(2), nn.Conv2d(4, 3))
    graph = nn.trace(net, (4, 6, 6))
    state = nn.initial_state(graph, 0)
    rests = [step for step in steps_of(graph, state) if isinstance(step, Rest)]
    assert [step.node.op.name for step in rests] == ["resample2d"]
    assert not integer_tensors(steps_of(graph, state)).isdisjoint(step.output for step in rests)
    images = np.random.default_rng(0).normal(size=(8, *x.shape[1:])).astype(np.float32)  # type: ignore[arg-type]
    quantized = quantize_graph(graph, state, calibrated(graph, state, images, reference))
    assert noise(run(*quantized, images), run(graph, state, images)) < 0.03


@pytest.mark.parametrize(("spread", "kernel"), [(1.0, "conv2d_int32"), (0.0, "matmul")])
def test_a_layer_whose_sums_might_overflow_stays_in_float32(spread: float, kernel: str) -> None:
    """With weights that are all as large as possible, 120,000 products may exceed 32 bits."""
    graph = nn.trace(nn.Sequential(nn.Flatten(), nn.Linear(2)), (3, 200, 200))
    rng = np.random.default_rng(0)
    state = {name: np.full(t.shape, 0.01, np.float32) for name, t in graph.variables.items()}  # type: ignore[arg-type]
    state["1.weight"] *= (1 - spread * rng.uniform(0, 1, state["1.weight"].shape)).astype(np.float32)
    images = rng.normal(size=(4, 3, 200, 200)).astype(np.float32)
    quantized, integers = quantize_graph(graph, state, calibrated(graph, state, images, reference))
    assert kernel in {node.op.name for node in quantized.nodes}
    assert noise(run(quantized, integers, images), run(graph, state, images)) < 0.05


def test_operands_of_a_concatenation_share_a_scale_if_their_ranges_are_alike() -> None:
    graph, state, images = network("branches")
    steps, ranges = steps_of(graph, state), calibrated(graph, state, images, reference)
    (join,) = (step for step in steps if isinstance(step, Join))
    widths = [high - low for low, high in (ranges.bounds[t] for t in (join.output, *join.inputs))]
    shared = [ranges.scale(t) == ranges.scale(join.output) for t in join.inputs]
    assert any(shared) and not all(shared)
    assert all(width >= 0.6 * widths[0] for width, same in zip(widths[1:], shared, strict=True) if same)


def test_batch_normalization_and_activation_are_folded() -> None:
    graph, state, images = network("depthwise")
    first = steps_of(graph, state)[0]
    assert isinstance(first, Product) and (first.low, first.high) == (0.0, 6.0)
    program = Reference(Graph(graph.inputs, {"y": first.output}), len(images), np.float64)
    program.load_state({name: state[name] for name in program.graph.variables})
    expected = program.run(inputs=images)["y"]
    w = input_tensor("w", first.weight.shape)
    assert first.window is not None
    y = ops.conv2d(graph.inputs[0], w, stride=first.window.stride, padding=first.window.padding)
    plain = Reference(Graph((*graph.inputs, w), {"y": y}), len(images), np.float64)
    sums = plain.run(inputs=images, w=first.weight)["y"] + first.bias.reshape(-1, 1, 1)
    np.testing.assert_allclose(np.clip(sums, first.low, first.high), expected, atol=1e-9)


def test_a_result_that_is_read_twice_is_not_folded_away() -> None:
    def two_readers(x: Tensor) -> Tensor:
        y = ops.add(ops.conv2d(x, ops.constant(np.full((2, 1, 1, 1), 0.5))), 1.0)
        return ops.add(ops.relu(y), ops.multiply(ops.conv2d(y, ops.constant(np.full((2, 2, 1, 1), 0.25))), 2.0))

    x = input_tensor("inputs", (BATCH, 1, 3, 3))
    graph = Graph((x,), {"logits": two_readers(x)})
    state = {
        name: np.array(t.node.attrs["init"][1], np.float32).reshape(t.shape) for name, t in graph.variables.items()
    }  # type: ignore[arg-type]
    images = np.random.default_rng(0).normal(size=(16, 1, 3, 3)).astype(np.float32)
    quantized = quantize_graph(graph, state, calibrated(graph, state, images, reference))
    assert noise(run(*quantized, images), run(graph, state, images)) < 0.03


@pytest.mark.parametrize("float_layers", [[], ["0"]])
def test_a_channel_that_is_always_zero_takes_no_precision_from_others(float_layers: list[str]) -> None:
    network = nn.Sequential(
        nn.Conv2d(4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(), nn.Flatten(), nn.Linear(3),
    )  # fmt: skip
    graph, rng = nn.trace(network, (3, 8, 8)), np.random.default_rng(0)
    state, images = nn.initial_state(graph, 0), rng.normal(size=(16, 3, 8, 8)).astype(np.float32)
    state["0.bias"][1], state["3.running_mean"][2] = -100, 0.5
    ranges = calibrated(graph, state, images, reference)
    assert ranges.factors
    quantized = quantize_graph(graph, state, ranges, float_layers)
    assert noise(run(*quantized, images), run(graph, state, images)) < 0.03


def test_ranges_need_images_and_finite_results() -> None:
    graph, state, images = network("plain")
    with pytest.raises(DataError, match="there are no images to observe"):
        calibrated(graph, state, images[:0], reference)
    state["0.weight"][0, 0, 0, 0] = np.nan
    with pytest.raises(DataError, match="gives NaN or infinity"):
        calibrated(graph, state, images, reference)
