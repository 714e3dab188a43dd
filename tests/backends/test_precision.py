"""Programs in bfloat16: exact where nothing is rounded, close to float32 elsewhere, bit-identical on all threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from opsin import nn, zoo
from opsin import ops as F
from opsin.backends.native import Native, codegen, compile
from opsin.backends.options import CompileOptions
from opsin.backends.reference import Reference
from opsin.backends.reference import compile as reference
from opsin.backends.tuning import problems, tune
from opsin.base.errors import UsageError
from opsin.compiler.lower.conv_algorithms import ConvAlgorithm, candidates
from opsin.compiler.precision import Precision, narrow_tensors
from opsin.compiler.simplify import simplify
from opsin.ir import BATCH, FLOAT, INT, Graph, apply, initial_state, input_tensor
from opsin.kernels.ir import Target, bfloat16
from opsin.ops import OPS

HOST = codegen.host().targets
ROWS = [*HOST, *(row.with_features(()) for row in HOST if row.bf16_dot)]
"""The rows that run here, and those with instructions for bfloat16 also without them."""
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.name}{'-bf16' * row.bf16_dot}")
IMAGES = [
    "avg_pool2d",
    "avg_pool2d_grad",
    "conv2d",
    "conv_transpose2d",
    "conv2d_weight",
    "max_pool2d",
    "max_pool2d_grad",
]


def worst(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference, relative to the largest value."""
    assert actual.shape == expected.shape
    return float(np.abs(actual - expected).max(initial=0) / max(np.abs(expected).max(initial=0), 1e-30))


def after_doubling(name: str, inputs: list[Any], attrs: dict[str, Any]) -> Graph:
    """Return a graph of one operation on images in bfloat16: inputs are float32, so they are multiplied by 2 first."""
    operands = [F.multiply(x, 2.0) if len(x.shape) == 4 and x.dtype == FLOAT else x for x in inputs]
    return Graph(tuple(inputs), {"y": apply(OPS[name], operands, attrs).output})


@pytest.mark.parametrize("name", [*IMAGES, "resample2d", "sum", "concat", "pad", "transpose", "variance"])
@each_row
def test_operations_on_bfloat16(name: str, row: Target) -> None:
    """Of numbers that bfloat16 holds, so that only sums are rounded, in float32."""
    rng = np.random.default_rng(4)
    for number in range(8):
        sample = OPS[name].sample(rng)
        arrays = [bfloat16.rounded(a.astype(np.float32)) if a.dtype.kind == "f" else a for a in sample.inputs]
        inputs = [input_tensor(f"x{i}", a.shape, FLOAT if a.dtype.kind == "f" else INT) for i, a in enumerate(arrays)]
        graph = after_doubling(name, inputs, dict(sample.attrs))
        feed = {f"x{i}": a for i, a in enumerate(arrays)}
        batch = arrays[0].shape[0] if arrays[0].ndim else 1
        expected = Reference(graph, batch, np.float64).run(**feed)["y"]
        program = compile(graph, batch, 1 + number % 3, row, winograd=False, precision="bf16")
        tolerance = 2e-3 if name == "variance" else 2e-5  # Along some axes, distances from the mean are stored.
        assert worst(program.run(**feed)["y"], expected) < tolerance, (sample.attrs, [a.shape for a in arrays])


CONVOLUTIONS = [  # images, channels, filters, height, width, kernel, stride, padding, dilation
    (1, 16, 32, 5, 5, (1, 1), 1, 0, 1), (3, 18, 33, 9, 8, (1, 1), 1, 0, 1), (2, 20, 40, 9, 7, (1, 1), 2, 0, 1),
    (2, 16, 50, 11, 9, (3, 3), 2, 1, 1), (5, 24, 32, 6, 13, (5, 2), (1, 3), (2, 1), 1),
    (2, 19, 35, 8, 8, (3, 3), 1, 1, 1),
    (2, 12, 24, 12, 12, (3, 3), 1, 2, 2), (40, 16, 32, 3, 3, (2, 2), 1, 1, 1), (3, 32, 48, 10, 7, (7, 7), 2, 3, 1),
]  # fmt: skip


@each_row
@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_every_algorithm_of_convolutions(case: tuple[Any, ...], row: Target) -> None:
    images, channels, filters, height, width, kernel, stride, padding, dilation = case
    x, w = input_tensor("x", (BATCH, channels, height, width)), input_tensor("w", (filters, channels, *kernel))
    y = F.conv2d(F.multiply(x, 2.0), w, stride=stride, padding=padding, dilation=dilation)
    g = input_tensor("g", y.shape)
    dx, dw = F.gradients(F.sum(F.multiply(y, F.multiply(g, 2.0))), [x, w])
    assert dx is not None and dw is not None
    graph = Graph((x, w, g), {"y": y, "dx": dx, "dw": dw})
    rng = np.random.default_rng(channels)
    shapes = {t.node.attrs["name"]: tuple(images if n is BATCH else n for n in t.shape) for t in graph.inputs}
    inputs = {name: bfloat16.rounded(rng.standard_normal(shape).astype(np.float32)) for name, shape in shapes.items()}
    expected = Reference(graph, images, np.float64).run(**inputs)
    for algorithm in ConvAlgorithm:
        names = {str(p): str(algorithm) for p in problems(graph, images, Precision.BF16) if algorithm in candidates(p)}
        program = compile(graph, images, 2, row, conv_algorithms=names, precision="bf16")
        for key, actual in program.run(**inputs).items():
            assert worst(actual, expected[key]) < (1e-4 if "Winograd" in algorithm else 2e-5), (key, algorithm)


def trained(graph: Graph, batch: int, threads: int, precision: str, steps: int = 3) -> tuple[Native, list[float]]:
    """Return a program after some steps on random images, and the losses."""
    program, rng = compile(graph, batch, threads, precision=precision), np.random.default_rng(0)
    program.load_state(initial_state(program.graph, 0))
    losses = []
    for _ in range(steps):
        feed: dict[str, Any] = {}
        for tensor in program.graph.inputs:
            shape = tuple(int(n) for n in tensor.shape)
            images = rng.standard_normal(shape).astype(np.float32)
            feed[tensor.node.attrs["name"]] = images if tensor.dtype == FLOAT else rng.integers(0, 10, shape, np.int32)
        feed["learning_rate"] = np.float32(0.01)
        losses.append(float(program.run(**feed)["loss"]))
    return program, losses


def step_of(name: str, side: int, channels: int = 3) -> Graph:
    network = zoo.create(name, 10)
    return nn.training_graph(network, (channels, side, side), nn.optimizers.SGD(momentum=0.9))


@pytest.mark.parametrize(
    ("name", "side"), [("resnet20_cifar", 16), ("mobilenet_v2", 32), ("squeezenet1_1", 64), ("googlenet", 64)]
)
def test_training_follows_float32(name: str, side: int) -> None:
    graph = step_of(name, side)
    losses = {precision: trained(graph, 8, 2, precision, 1)[1] for precision in Precision}
    np.testing.assert_allclose(losses["bf16"], losses["float32"], rtol=0.03)


@pytest.mark.parametrize(("name", "side"), [("resnet20_cifar", 16), ("mobilenet_v2", 32)])
def test_the_same_bits_for_any_number_of_threads_and_in_every_run(name: str, side: int) -> None:
    graph = step_of(name, side)
    first, *others = (trained(graph, 9, threads, "bf16")[0].state() for threads in (1, 1, 2, 5, 8))
    for other in others:
        for key, value in first.items():
            np.testing.assert_array_equal(value, other[key], err_msg=key)


def test_feature_maps_take_half_the_memory() -> None:
    graph = step_of("resnet20_cifar", 32)
    full, half = (compile(graph, 32, 1, precision=precision).plan for precision in ("float32", "bf16"))
    assert half.arena_size < 0.6 * full.arena_size
    assert half.permanent_size == full.permanent_size


def test_parameters_and_the_loss_stay_float32() -> None:
    graph = step_of("mobilenet_v2", 32)
    bound = simplify(graph, 10)  # As many images as classes: shapes alone do not tell maps from weights.
    narrow = narrow_tensors(bound, 10, Precision.BF16)
    assert narrow and not narrow_tensors(bound, 10, Precision.FLOAT32)
    assert all(len(t.shape) == 4 and t.shape[0] == 10 for t in narrow)
    assert not {t.node.op.name for t in narrow} & {"conv2d_weight", "constant"}
    assert not {t.node.scope.partition(".")[0] for t in narrow} & {"loss", "optimizer"}
    assert {t.node.op.name for t in narrow} >= {"conv2d", "conv_transpose2d"}


def test_outputs_are_float32_and_rounded_once() -> None:
    x = input_tensor("x", (BATCH, 4, 6, 6))
    y = F.max_pool2d(F.multiply(x, 3.0), 1)
    graph = Graph((x,), {"same": F.relu(y), "flat": F.reshape(y, (BATCH, 144))})
    values = np.random.default_rng(0).standard_normal((2, 4, 6, 6)).astype(np.float32)
    outputs = compile(graph, 2, 1, precision="bf16").run(x=values)
    expected = bfloat16.rounded(values * 3)
    assert outputs["flat"].dtype == np.float32
    np.testing.assert_array_equal(outputs["flat"], expected.reshape(2, -1))
    np.testing.assert_array_equal(outputs["same"], np.maximum(expected, 0))


def test_memory_limits_hold() -> None:
    """What is computed again is not always stored, and then not rounded: the bits differ, the result hardly does."""
    graph = step_of("resnet20_cifar", 32)
    complete = compile(graph, 16, 1, precision="bf16")
    limited = compile(graph, 16, 1, memory=int(complete.plan.bytes_with(1) * 0.8), precision="bf16")
    assert limited.plan.recomputed
    (first, _), (second, _) = ((p, p.load_state(initial_state(p.graph, 0))) for p in (complete, limited))
    feed = {"learning_rate": np.float32(0.1)}
    for tensor in first.graph.inputs:
        if tensor.node.attrs["name"] != "learning_rate":
            shape = tuple(int(n) for n in tensor.shape)
            feed[tensor.node.attrs["name"]] = np.ones(shape, np.float32 if tensor.dtype == FLOAT else np.int32)
    np.testing.assert_array_equal(first.run(**feed)["loss"], second.run(**feed)["loss"])
    first_state, second_state = first.state(), second.state()
    for key, value in first_state.items():
        if not key.startswith("optimizer"):
            np.testing.assert_allclose(second_state[key], value, atol=0.01 + 0.01 * np.abs(value).max(), err_msg=key)


def test_bad_requests_are_refused() -> None:
    graph = step_of("resnet20_cifar", 16)
    with pytest.raises(UsageError, match="one of float32, bf16, not 'fp16'"):
        compile(graph, 2, 1, precision="fp16")
    with pytest.raises(UsageError, match="reference engine cannot compute in another precision"):
        reference(graph, 2, 1, options=CompileOptions(precision=Precision.BF16))
    with pytest.raises(UsageError, match="the engine computes in bf16, and the plan in float32"):
        compile(graph, 2, 1, precision="bf16", options=CompileOptions(winograd=False))


@pytest.mark.skipif(not codegen.host().target.bf16_dot, reason="needs a processor that multiplies bfloat16")
def test_convolutions_of_bfloat16_are_tuned_by_themselves() -> None:
    graph = step_of("resnet20_cifar", 8)
    found = problems(graph, 4, Precision.BF16)
    assert any(p.pairs for p in found) and any(not p.pairs for p in found)
    summary = tune(graph, 4, 1, seconds=3.0, precision=Precision.BF16)
    assert summary.trials and all(trial.algorithm in candidates(trial.problem) for trial in summary.trials)
