"""Results are bit-identical on 1 to 8 threads, at every vector width, for every family of a training step's kernels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.backends.native import Native, codegen
from opsin.backends.reference import Reference
from opsin.compiler import divide_groups
from opsin.compiler.execution_plan import ExecutionPlan, make_plan
from opsin.ir import Graph
from opsin.kernels.ir import Target

THREADS = range(1, 9)
BATCH = 5

FAMILIES = {
    "Conv2d", "Conv2dWeight", "ConvPacked", "ConvPanels", "ConvWeightTaps", "Depthwise", "DepthwiseWeight", "Winograd",
    "WinogradProducts", "WinogradReduction", "Moments", "MapReduceByChannel", "MaxPoolGradient",
    "MatMulWide", "Combine",
}  # fmt: skip


def many_kinds() -> nn.Layer:
    """First layers, Winograd over many tiles and over few, strides, depthwise and 1×1 convolutions, wide products."""
    return nn.Sequential(
        nn.Conv2d(16, 5, padding=2, bias=False), nn.BatchNorm2d(), nn.ReLU(),
        nn.Conv2d(24, 3, padding=1, bias=False), nn.BatchNorm2d(), nn.ReLU(),
        nn.Conv2d(24, 3, padding=1, groups=24, bias=False), nn.BatchNorm2d(), nn.ReLU6(),
        nn.Conv2d(48, 3, 2, padding=1, bias=False), nn.BatchNorm2d(), nn.ReLU(),
        nn.Conv2d(72, 1), nn.Conv2d(33, 3, padding=1), nn.MaxPool2d(3, 2), nn.Dropout(0.2),
        nn.Flatten(), nn.Linear(700), nn.ReLU(), nn.Linear(7),
    )  # fmt: skip


@cache
def step() -> Graph:
    return nn.training_graph(many_kinds(), (3, 36, 36), nn.optimizers.SGD(momentum=0.9))


def inputs(graph: Graph, number: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(number)
    shape = tuple(graph.bind(BATCH).inputs[0].shape)
    labels = rng.integers(0, 7, BATCH)
    return {"inputs": rng.standard_normal(shape, np.float32), "labels": labels, "learning_rate": np.float32(0.02)}


def trained(plan: ExecutionPlan, graph: Graph, threads: int, target: Target) -> tuple[dict[str, bytes], list[float]]:
    """Every variable's bits after two steps, and the losses."""
    program = Native(plan, threads, target)
    program.load_state(nn.initial_state(graph, seed=2))
    losses = [float(program.run(**inputs(graph, number))["loss"]) for number in range(2)]
    return {name: value.tobytes() for name, value in program.state().items()}, losses


def check_threads(
    plan: ExecutionPlan, graph: Graph, target: Target, counts: Sequence[int] = THREADS[1:]
) -> list[float]:
    """Check that results are bit-identical to those of one thread for all `counts`; return the losses of one."""
    expected, losses = trained(plan, graph, 1, target)
    for threads in counts:
        found, _ = trained(plan, graph, threads, target)
        assert [name for name, value in expected.items() if found[name] != value] == []
    return losses


@pytest.mark.parametrize("target", codegen.host().targets, ids=lambda target: target.name)
def test_every_family_of_kernels(target: Target) -> None:
    graph = step()
    plan = make_plan(graph, BATCH, target)
    assert {type(call.spec).__name__ for call in plan.calls} >= FAMILIES
    losses = check_threads(plan, graph, target)
    reference = Reference(graph, BATCH, np.float64)
    reference.load_state(nn.initial_state(graph, seed=2))
    wanted = [float(reference.run(**inputs(graph, number))["loss"]) for number in range(2)]
    np.testing.assert_allclose(losses, wanted, rtol=1e-3)


def test_a_whole_network() -> None:
    target = codegen.host().target
    graph = nn.training_graph(zoo.create("resnet20_cifar"), (3, 32, 32), nn.optimizers.SGD(momentum=0.9))
    check_threads(make_plan(graph, BATCH, target), graph, target)


def test_many_threads_of_divided_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(divide_groups, "BARRIER_SECONDS", 0.0)
    target, graph = codegen.host().target, step()
    plan = make_plan(graph, BATCH, target)
    for threads in (16, 64):
        assert len(divide_groups.divide_groups(plan.groups, BATCH, plan.chunk, threads)) > len(plan.groups)
    check_threads(plan, graph, target, (16, 64))
