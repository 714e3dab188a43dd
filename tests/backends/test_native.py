"""The native engine against the reference engine: every operation, whole programs, bit-identical results."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from opsin import nn
from opsin import ops as F
from opsin.backends.native import Native, codegen, compile
from opsin.backends.reference import Reference
from opsin.backends.tuning import problems
from opsin.base.errors import CompileError, ShapeError
from opsin.compiler.lower.conv_algorithms import ConvAlgorithm, candidates
from opsin.ir import BATCH, INT, Graph, Tensor, apply, input_tensor, variable
from opsin.ops import OPS
from opsin.ops.registry import Sample
from tests.support import symbolic

CASES = 50
TOLERANCE = 2e-5
TARGETS = codegen.host().targets


def graph_of(name: str, sample: Sample) -> Graph:
    inputs = symbolic(sample.inputs)
    return Graph(inputs, {"y": apply(OPS[name], inputs, dict(sample.attrs)).output})


def feed(sample: Sample) -> dict[str, Any]:
    """Inputs that float32 holds exactly, so that both engines see the same."""
    return {
        f"x{i}": a.astype(np.float32).astype(np.float64) if a.dtype.kind == "f" else a
        for i, a in enumerate(sample.inputs)
    }


def worst(got: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference, relative to the largest value."""
    assert got.shape == wanted.shape
    if wanted.dtype.kind != "f":
        return float((got != wanted).sum())
    np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
    if not wanted.size:
        return 0.0
    return float(np.nanmax(np.abs(got - wanted)) / max(np.nanmax(np.abs(wanted)), 1e-30))


@pytest.mark.parametrize("name", sorted(OPS))
def test_every_operation_agrees_with_the_reference(name: str) -> None:
    rng = np.random.default_rng(len(name))
    for number in range(10 if "3d" in name else CASES):  # those of clips are computed by kernels of images
        sample = OPS[name].sample(rng)
        graph, inputs = graph_of(name, sample), feed(sample)
        first = sample.inputs[0].shape[0] if sample.inputs and sample.inputs[0].ndim else 1
        batch = first if number % 2 else 1
        wanted = Reference(graph, batch, np.float64).run(**inputs)["y"]
        got = compile(graph, batch, threads=1 + number % 3, winograd=False).run(**inputs)["y"]
        assert worst(got, wanted) < TOLERANCE, (name, sample.attrs, [a.shape for a in sample.inputs])


WINOGRAD = [  # images, channels, filters, height, width, padding
    (1, 16, 16, 4, 4, (1, 1)), (3, 17, 33, 9, 13, (1, 1)), (2, 24, 16, 7, 8, (0, 0)), (5, 16, 40, 12, 5, (2, 0)),
    (1, 64, 64, 30, 30, (1, 1)), (40, 16, 16, 13, 15, (1, 1)), (2, 48, 20, 28, 28, (1, 1)), (7, 130, 18, 8, 8, (0, 1)),
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
@pytest.mark.parametrize("case", WINOGRAD, ids=str)
def test_winograd_convolutions_and_their_gradients(case: tuple[Any, ...], target: Any) -> None:
    images, channels, filters, height, width, padding = case
    x, w = input_tensor("x", (BATCH, channels, height, width)), input_tensor("w", (filters, channels, 3, 3))
    b = input_tensor("b", (filters,))
    y = F.relu(F.conv2d(x, w, b, padding=padding))
    dx, dw = F.gradients(F.sum(F.multiply(y, y)), [x, w])
    assert dx is not None and dw is not None
    graph = Graph((x, w, b), {"y": y, "dx": dx, "dw": dw})
    rng = np.random.default_rng(channels)
    inputs = {"x": rng.standard_normal((images, channels, height, width)), "b": rng.standard_normal(filters)}
    inputs["w"] = rng.standard_normal((filters, channels, 3, 3)) / channels
    program = compile(graph, images, 2, target)
    assert {"Winograd", "WinogradProducts"} & {type(call.spec).__name__ for call in program.plan.calls}
    wanted = Reference(graph, images, np.float64).run(**inputs)
    for key, got in program.run(**inputs).items():
        assert worst(got, wanted[key]) < 1e-4, key
    assert "Winograd" not in {type(c.spec).__name__[:8] for c in compile(graph, images, 1, winograd=False).plan.calls}


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d", "conv2d_weight", "matmul", "sum", "max_pool2d", "tanh"])
@pytest.mark.parametrize("target", TARGETS[1:], ids=lambda t: t.name)
def test_narrower_vectors_agree_too(name: str, target: Any) -> None:
    rng = np.random.default_rng(3)
    for _ in range(8):
        sample = OPS[name].sample(rng)
        graph, inputs = graph_of(name, sample), feed(sample)
        batch = sample.inputs[0].shape[0] if sample.inputs[0].ndim else 1
        wanted = Reference(graph, batch, np.float64).run(**inputs)["y"]
        assert worst(compile(graph, batch, 2, target).run(**inputs)["y"], wanted) < TOLERANCE


def training_graphs() -> dict[str, Graph]:
    digits = nn.Sequential(
        nn.Conv2d(6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.2),
        nn.Conv2d(16, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(30), nn.ReLU(), nn.Linear(10),
    )  # fmt: skip
    normed = nn.Sequential(
        nn.Conv2d(9, 3, stride=2, bias=False), nn.BatchNorm2d(), nn.ReLU6(), nn.Conv2d(18, 3, padding=1, groups=3),
        nn.L2Pool2d(2), nn.Flatten(), nn.Linear(10),
    )  # fmt: skip
    return {
        "sgd": nn.training_graph(digits, (1, 20, 20), optimizer=nn.optimizers.SGD(momentum=0.9, nesterov=True)),
        "adam": nn.training_graph(normed, (3, 15, 15), optimizer=nn.optimizers.Adam()),
        "clipped": nn.training_graph(normed, (3, 15, 15), optimizer=nn.optimizers.AdamW(clip_norm=0.1)),
    }


GRAPHS = training_graphs()


def batch_for(graph: Graph, batch: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shape = tuple(graph.bind(batch).inputs[0].shape)
    images = rng.standard_normal(shape, dtype=np.float32)
    return {"inputs": images, "labels": rng.integers(0, 10, batch), "learning_rate": np.float32(0.01)}


def loaded(program: Any, graph: Graph) -> Any:
    program.load_state(nn.initial_state(graph, seed=5))
    return program


@pytest.mark.parametrize("batch", [1, 3, 20, 64])
@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_training_steps_agree_with_the_reference(name: str, batch: int) -> None:
    graph = GRAPHS[name]
    native, reference = loaded(compile(graph, batch, 2), graph), loaded(Reference(graph, batch, np.float64), graph)
    for step in range(3):
        inputs = batch_for(graph, batch, step)
        got, wanted = native.run(**inputs), reference.run(**inputs)
        assert abs(got["loss"] - wanted["loss"]) <= 1e-4 * abs(wanted["loss"]) + 1e-6
        assert got["correct"] == wanted["correct"]
    after, expected = native.state(), reference.state()
    for key, value in expected.items():
        if batch > 1 or "weight" not in key or name == "sgd":  # Adam divides tiny gradients by their own size.
            scale = np.abs(value).max() + 1e-3
            assert np.abs(after[key] - value).max() <= 5e-3 * scale, key


WIDE = [  # images, channels, filters, height, width, kernel, stride, padding, dilation
    (1, 16, 32, 5, 5, (1, 1), 1, 0, 1), (3, 17, 33, 9, 8, (1, 1), 1, 0, 1), (2, 20, 40, 9, 7, (1, 1), 2, 0, 1),
    (2, 16, 50, 11, 9, (3, 3), 2, 1, 1), (5, 24, 32, 6, 13, (5, 2), (1, 3), (2, 1), 1),
    (40, 16, 32, 3, 3, (2, 2), 1, 1, 1),
    (2, 19, 35, 12, 12, (3, 3), 1, 2, 2), (3, 32, 48, 10, 7, (7, 7), 2, 3, 1),
    (1, 48, 96, 8, 8, (3, 1), 1, (1, 0), (2, 3)),
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
@pytest.mark.parametrize("case", WIDE, ids=str)
def test_wide_convolutions_and_their_gradients(case: tuple[Any, ...], target: Any) -> None:
    images, channels, filters, height, width, kernel, stride, padding, dilation = case
    x, w = input_tensor("x", (BATCH, channels, height, width)), input_tensor("w", (filters, channels, *kernel))
    y = F.tanh(F.conv2d(x, w, stride=stride, padding=padding, dilation=dilation))
    dx, dw = F.gradients(F.sum(F.multiply(y, y)), [x, w])
    assert dx is not None and dw is not None
    graph = Graph((x, w), {"y": y, "dx": dx, "dw": dw})
    rng = np.random.default_rng(channels)
    inputs = {"x": rng.standard_normal((images, channels, height, width))}
    inputs["w"] = rng.standard_normal((filters, channels, *kernel)) / channels
    packed = {
        str(p): str(
            ConvAlgorithm.STRIDED_DGRAD if ConvAlgorithm.STRIDED_DGRAD in candidates(p) else ConvAlgorithm.IMPLICIT_GEMM
        )
        for p in problems(graph, images)
    }
    program = compile(graph, images, 2, target, conv_algorithms=packed)
    assert {"ConvPacked", "ConvWeightTaps"} <= {type(call.spec).__name__ for call in program.plan.calls}
    wanted = Reference(graph, images, np.float64).run(**inputs)
    for key, got in program.run(**inputs).items():
        assert worst(got, wanted[key]) < TOLERANCE, key


def varied(x: Tensor, weights: list[Tensor], seed: Tensor, step: Tensor) -> Tensor:
    """A little of everything: branches, a skip connection, dropout, normalization, transposed convolution."""
    first, grouped, skip, up = weights
    y = F.leaky_relu(F.conv2d(x, first, padding=1))
    y = F.silu(F.add(F.conv2d(y, grouped, stride=2, padding=1, groups=2), F.conv2d(y, skip, stride=2)))
    y = F.concat([F.max_pool2d(y, 2, 1), F.avg_pool2d(y, 2, 1)], 1)
    y = F.local_response_norm(F.conv_transpose2d(y, up, stride=2), 3)
    y = F.dropout(F.gelu(y), 0.8, seed, step, site=1)
    y = F.hard_swish(F.upsample(y, 2, mode="bilinear"))
    return F.mean(F.square(F.adaptive_avg_pool2d(y, (3, 2))))


@pytest.mark.parametrize("batch", [1, 2, 19])
def test_a_varied_network_and_its_gradients(batch: int) -> None:
    x = input_tensor("x", (BATCH, 3, 11, 9))
    seed, step = input_tensor("seed", (), INT), input_tensor("step", (), INT)
    shapes = {"first": (6, 3, 3, 3), "grouped": (8, 3, 3, 3), "skip": (8, 6, 1, 1), "up": (16, 5, 2, 2)}
    weights = [variable(name, shape) for name, shape in shapes.items()]
    loss = varied(x, weights, seed, step)
    gradients = F.gradients(loss, [x, *weights])
    outputs = {"loss": loss} | {f"g{i}": g for i, g in enumerate(gradients) if g is not None}
    assert len(outputs) == 6
    graph = Graph((x, seed, step), outputs).verify()
    rng = np.random.default_rng(0)
    state = {name: rng.standard_normal(shape) * 0.3 for name, shape in shapes.items()}
    inputs = {"x": rng.standard_normal((batch, 3, 11, 9)), "seed": 4, "step": 9}
    results = []
    for program in (Reference(graph, batch, np.float64), compile(graph, batch, 2)):
        program.load_state(state)
        results.append(program.run(**inputs))
    for key, wanted in results[0].items():
        assert worst(results[1][key], wanted) < 1e-4, key


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_the_same_bits_for_any_number_of_threads(name: str) -> None:
    graph = GRAPHS[name]
    states = []
    for threads in (1, 2, 3, 4, 7):
        program = loaded(compile(graph, 37, threads), graph)
        for step in range(3):
            program.run(**batch_for(graph, 37, step))
        states.append(program.state())
    for state in states[1:]:
        for key, value in states[0].items():
            np.testing.assert_array_equal(state[key].view(np.int32), value.view(np.int32), err_msg=key)


def test_state_is_a_copy_and_loads_back() -> None:
    graph = GRAPHS["sgd"]
    program = loaded(compile(graph, 4, 1), graph)
    before = program.state()
    program.run(**batch_for(graph, 4, 0))
    changed = program.state()
    assert any((before[key] != changed[key]).any() for key in before)
    program.load_state(before)
    for key, value in program.state().items():
        np.testing.assert_array_equal(value, before[key])


def test_weights_are_prepared_once_and_again_when_they_change() -> None:
    x, w = input_tensor("x", (BATCH, 16, 8, 8)), variable("w", (16, 16, 3, 3))
    graph = Graph((x,), {"y": F.conv2d(x, w, padding=1)})
    program, rng = compile(graph, 2, 2), np.random.default_rng(0)
    assert program.plan.setup == 1
    images = rng.standard_normal((2, 16, 8, 8))
    for _ in range(2):
        weights = rng.standard_normal((16, 16, 3, 3))
        program.load_state({"w": weights})
        reference = Reference(graph, 2, np.float64)
        reference.load_state({"w": weights})
        for _ in range(2):
            assert worst(program.run(x=images)["y"], reference.run(x=images)["y"]) < 1e-4


def test_wrong_inputs_are_named() -> None:
    graph = GRAPHS["sgd"]
    program = compile(graph, 4, 1)
    with pytest.raises(ShapeError, match="inputs"):
        program.run(**batch_for(graph, 5, 0))
    with pytest.raises(CompileError, match="at least one thread, not 0"):
        compile(graph, 4, 0)


def test_a_variable_read_and_replaced_in_one_run() -> None:
    """Old values everywhere, although the new ones may be written over them."""
    a, b = variable("a", (3,)), variable("b", (3,))
    graph = Graph((), {"sum": F.add(a, b), "old": a}, {"a": F.multiply(b, 2.0), "b": F.add(a, 1.0)})
    program = compile(graph, 1, 2)
    program.load_state({"a": np.array([1.0, 2, 3]), "b": np.array([10.0, 20, 30])})
    outputs = program.run()
    np.testing.assert_array_equal(outputs["sum"], [11, 22, 33])
    np.testing.assert_array_equal(outputs["old"], [1, 2, 3])
    np.testing.assert_array_equal(program.state()["a"], [20, 40, 60])
    np.testing.assert_array_equal(program.state()["b"], [2, 3, 4])


def test_denormals_cost_nothing_and_leave_the_caller_alone() -> None:
    x = input_tensor("x", (BATCH, 8))
    program: Native = compile(Graph((x,), {"y": F.multiply(x, 0.5)}), 1, 2)
    tiny = np.full((1, 8), 1e-40, np.float32)
    np.testing.assert_array_equal(program.run(x=tiny)["y"], 0.0)
    assert (tiny * np.float32(0.5) > 0).all()


def test_many_runs_with_pauses_between() -> None:
    """Helpers park when nothing comes, and wake again."""
    graph = GRAPHS["sgd"]
    program = loaded(compile(graph, 8, 3), graph)
    losses = []
    for pause in (0, 0, 0.05, 0, 0.2, 0):
        losses.append(float(program.run(**batch_for(graph, 8, 0))["loss"]))
        time.sleep(pause)
    assert losses[-1] < losses[0]
