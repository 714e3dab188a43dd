"""Cheap results computed again by every reader: fewer arrays are written, and the bits are the same."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, ops
from opsin.backends.native import codegen
from opsin.backends.native.program import Native
from opsin.compiler import execution_plan as plans
from opsin.compiler.execution_plan import ExecutionPlan, make_plan
from opsin.compiler.passes import FPROP
from opsin.compiler.rematerialize import rematerialize_cheap
from opsin.compiler.simplify import simplify
from opsin.ir import BATCH, Graph, input_tensor
from opsin.kernels.ir import Target

SIDE, IMAGES = 64, 2
LARGE = IMAGES * 16 * SIDE * SIDE


def step() -> Graph:
    network = nn.Sequential(
        nn.Conv2d(16, 3, padding=1, bias=False), nn.BatchNorm2d(), nn.ReLU(),
        nn.Conv2d(16, 3, padding=1, bias=False), nn.BatchNorm2d(), nn.Tanh(),
        nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(3),
    )  # fmt: skip
    return nn.training_graph(network, (3, SIDE, SIDE), nn.optimizers.SGD(momentum=0.9))


def large_arrays_written(plan: ExecutionPlan) -> int:
    return sum(buffer.size == LARGE for call in plan.calls if call.direction == FPROP for buffer in call.writes)


def trained(plan: ExecutionPlan, graph: Graph, target: Target) -> dict[str, bytes]:
    program, rng = Native(plan, 2, target), np.random.default_rng(0)
    program.load_state(nn.initial_state(graph, seed=1))
    for _ in range(2):
        images = rng.standard_normal((IMAGES, 3, SIDE, SIDE), np.float32)
        program.run(inputs=images, labels=rng.integers(0, 3, IMAGES), learning_rate=0.1)
    return {name: value.tobytes() for name, value in program.state().items()}


def test_a_normalization_writes_its_result_alone(monkeypatch: pytest.MonkeyPatch, any_target: Target) -> None:
    graph = step()
    less = make_plan(graph, IMAGES, any_target)
    monkeypatch.setattr(plans, "rematerialize_cheap", lambda graph: graph)
    more = make_plan(graph, IMAGES, any_target)
    assert large_arrays_written(less) == 4  # two convolutions, two activations
    assert large_arrays_written(more) == 6  # and what each normalization has centred
    if any_target in codegen.host().targets:
        assert trained(less, graph, any_target) == trained(more, graph, any_target)


def test_what_lies_nowhere_is_not_computed_again() -> None:
    """Here the operand itself stays in registers: repeating what comes of it would bring it to memory instead."""
    x, b = input_tensor("x", (BATCH, 16, SIDE, SIDE)), input_tensor("b", (16, 1, 1))
    y = ops.add(ops.exp(x), b)
    graph = simplify(Graph((x, b), {"a": ops.sum(y, (0, 2, 3)), "b": ops.max_pool2d(y, 2)}), IMAGES)
    assert rematerialize_cheap(graph) is graph


def test_what_others_read_from_memory_is_not_computed_again() -> None:
    x, w = input_tensor("x", (BATCH, 16, SIDE, SIDE)), input_tensor("w", (8, 16, 3, 3))
    y = ops.multiply(x, ops.sigmoid(ops.mean(x, (2, 3), keepdims=True)))
    graph = simplify(Graph((x, w), {"a": ops.conv2d(y, w), "b": ops.tanh(y)}), IMAGES)
    assert rematerialize_cheap(graph) is graph


def test_small_arrays_stay_as_they_are() -> None:
    x = input_tensor("x", (BATCH, 10))
    graph = simplify(Graph((x,), {"y": ops.softmax(x, 1), "z": ops.log_softmax(x, 1)}), IMAGES)
    assert rematerialize_cheap(graph) is graph


def test_an_output_is_stored_and_read() -> None:
    x = input_tensor("x", (BATCH, 16, SIDE, SIDE))
    centred = ops.subtract(x, ops.mean(x, (0, 2, 3), keepdims=True))
    graph = simplify(Graph((x,), {"centred": centred, "y": ops.tanh(centred), "z": ops.exp(centred)}), IMAGES)
    assert sum(node.op.name == "subtract" for node in rematerialize_cheap(graph).nodes) == 1
