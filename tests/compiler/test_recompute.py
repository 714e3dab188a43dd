"""Recomputed activations: bit-identical results from less memory, at a cost that is reported."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from opsin import nn
from opsin.backends.native import codegen
from opsin.backends.native.program import Native, compile
from opsin.base.errors import CompileError
from opsin.compiler import recompute as recomputing
from opsin.compiler.execution_plan import ExecutionPlan, make_plan
from opsin.compiler.memory_limit import RecomputePlanner, plan_within_memory
from opsin.compiler.passes import RECOMPUTE
from opsin.compiler.recompute import cheap_activations, macs, recompute, segments, stored_activations
from opsin.compiler.simplify import simplify
from opsin.ir import Graph, Tensor
from opsin.kernels.ir import Target
from opsin.ops import add, relu

BATCH, SIDES = 6, {"residual": 24, "plain": 20}


class Block(nn.Layer):
    """Two convolutions with batch normalization, and a shortcut."""

    def __init__(self, channels: int, stride: int) -> None:
        self.conv1 = nn.Conv2d(channels, 3, stride, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(), nn.BatchNorm2d()
        self.conv2 = nn.Conv2d(channels, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(channels, 1, stride, bias=False) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        return relu(add(y, self.shortcut(x) if self.shortcut else x))


def residual() -> nn.Layer:
    return nn.Sequential(
        nn.Conv2d(8, 3, padding=1, bias=False), nn.BatchNorm2d(), nn.ReLU(), nn.MaxPool2d(2),
        Block(8, 1), Block(8, 1), Block(16, 2), Block(16, 1), nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(5),
    )  # fmt: skip


def plain() -> nn.Layer:
    return nn.Sequential(
        nn.Conv2d(16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(24, 3, padding=1), nn.GELU(), nn.Dropout(0.5), nn.Conv2d(24, 3, padding=1), nn.ReLU6(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(20), nn.ReLU(), nn.Dropout(0.3), nn.Linear(5),
    )  # fmt: skip


@cache
def step(kind: str) -> Graph:
    """A training step, bound and simplified."""
    network = residual() if kind == "residual" else plain()
    graph = nn.training_graph(network, (3, SIDES[kind], SIDES[kind]), nn.optimizers.SGD(momentum=0.9))
    return simplify(graph, BATCH)


def trained(plan: ExecutionPlan, target: Target) -> dict[str, bytes]:
    """The bits of everything after three steps."""
    program = Native(plan, 2, target)
    program.load_state(nn.initial_state(plan.graph, seed=3))
    rng = np.random.default_rng(5)
    outputs = {}
    for _ in range(3):
        images = rng.normal(size=plan.inputs["inputs"].shape).astype(np.float32)
        outputs = program.run(inputs=images, labels=rng.integers(0, 5, BATCH).astype(np.int32), learning_rate=0.05)
    return {name: array.tobytes() for name, array in {**program.state(), **outputs}.items()}


@pytest.mark.parametrize("kind", ["residual", "plain"])
def test_the_results_are_the_same_bits(kind: str, target: Target) -> None:
    graph = step(kind)
    make = RecomputePlanner(graph, BATCH, target, winograd=True)
    items = stored_activations(graph, BATCH)
    kept = make([])
    expected = trained(kept, target)
    assert len({value for name, value in expected.items() if name.endswith("running_mean")}) in (0, 9)
    everything = [s.tensor for s in items]
    choices = [[s.tensor for s in cheap_activations(items)], everything]
    choices += [[s.tensor for part in segments(items, count) for s in part] for count in (2, 4)]
    for dropped in choices:
        plan = make(dropped)
        assert any(call.direction == RECOMPUTE for call in plan.calls)
        assert trained(plan, target) == expected


def test_what_is_cheap_frees_memory_for_nothing(any_target: Target) -> None:
    graph = step("residual")
    make = RecomputePlanner(graph, BATCH, any_target, winograd=True)
    whole, less = make([]), make([s.tensor for s in cheap_activations(stored_activations(graph, BATCH))])
    assert whole.is_complete
    assert not less.is_complete
    assert (whole.recomputed, less.recomputed) == (0, 0)
    assert less.arena_size < 0.95 * whole.arena_size


def test_what_one_sweep_computes_is_computed_again_where_there_is_much_of_it(
    monkeypatch: pytest.MonkeyPatch, target: Target
) -> None:
    graph = step("residual")
    whole = make_plan(graph, BATCH, target)
    monkeypatch.setattr(recomputing, "MIN_RECOMPUTED_ELEMENTS", 10_000)
    less = make_plan(graph, BATCH, target)
    assert whole.is_complete
    assert less.arena_size < 0.95 * whole.arena_size
    assert {call.label for call in less.calls if call.direction == RECOMPUTE} == {"relu"}  # no pooling, no convolution
    assert trained(less, target) == trained(whole, target)


def test_a_tensor_is_priced_by_what_lies_between_it_and_others() -> None:
    graph = step("plain")
    items = {s.tensor.node.scope + "/" + s.tensor.node.op.name: s for s in stored_activations(graph, BATCH)}
    first, second = items["1/relu"], items["3/relu"]
    assert first.macs == BATCH * 20 * 20 * 16 * 3 * 9
    assert second.macs == BATCH * 20 * 20 * 16 * 16 * 9
    assert second.sources == {first.tensor}
    assert items["4/max_pool2d"].macs == 0
    again, copies = recompute(graph, [second.tensor], BATCH)
    assert macs(again) - macs(graph) == second.macs
    assert sorted(node.op.name for node in copies) == ["add", "broadcast_to", "conv2d", "relu"] or {
        "conv2d",
        "relu",
    } <= {node.op.name for node in copies}
    again.verify()


def test_stretches_keep_what_later_ones_are_computed_from() -> None:
    items = stored_activations(step("residual"), BATCH)
    parts = segments(items, 4)
    dropped = {s.tensor for part in parts for s in part}
    assert 1 < len(parts) < 4
    for part in parts:
        own = {s.tensor for s in part}
        for s in part:
            assert not (s.sources & dropped) - own
    assert items[-1].tensor not in dropped


@cache
def least(graph: Graph, target: Target) -> int:
    """The least bytes that a program on two threads can be planned for, as the refusal of anything less says."""
    with pytest.raises(CompileError) as caught:
        plan_within_memory(graph, BATCH, target, 2, 1000)
    text = str(caught.value)
    megabytes = text.split("at least ")[1].split(" MB")[0]
    assert text == (
        f"this takes at least {megabytes} MB with a batch of 6, even when activations are computed again instead of "
        "kept; 0 MB were allowed: allow more, or take a smaller batch"
    )
    return round(1e6 * float(megabytes))


@pytest.mark.parametrize("kind", ["residual", "plain"])
def test_a_plan_fits_the_memory_that_is_allowed(kind: str, any_target: Target) -> None:
    """From all that it takes down to the least that is possible, which depends on the vector width."""
    graph = step(kind)
    whole = RecomputePlanner(graph, BATCH, any_target, winograd=True)([]).bytes_with(2)
    lowest = least(graph, any_target)
    assert lowest < 0.95 * whole
    assert plan_within_memory(graph, BATCH, any_target, 2, whole).is_complete
    extras = []
    for share in (0.7, 0.0):
        limit = round(lowest + share * (whole - lowest))
        plan = plan_within_memory(graph, BATCH, any_target, 2, limit)
        assert plan.bytes_with(2) <= limit
        assert not plan.is_complete
        extras.append(plan.recomputed)
    assert extras == sorted(extras)
    assert extras[-1] > 0


def test_a_program_of_the_least_memory_gives_the_same_bits(target: Target) -> None:
    graph = step("residual")
    lowest = least(graph, target)
    program = compile(graph, BATCH, 2, target, memory=lowest)
    assert program.plan.bytes_with(2) <= lowest
    assert trained(program.plan, target) == trained(RecomputePlanner(graph, BATCH, target, winograd=True)([]), target)


def test_too_little_memory_is_refused_with_the_least_that_is_possible() -> None:
    graph, target = step("residual"), codegen.host().target
    lowest = least(graph, target)
    with pytest.raises(CompileError) as caught:
        compile(graph, BATCH, 2, target, memory=lowest - 20_000)
    assert str(caught.value) == (
        f"this takes at least {lowest / 1e6:g} MB with a batch of 6, even when activations are computed again instead "
        f"of kept; {(lowest - 20_000) / 1e6:g} MB were allowed: allow more, or take a smaller batch"
    )
    assert plan_within_memory(graph, BATCH, target, 2, lowest).bytes_with(2) <= lowest


def test_a_prediction_has_nothing_to_compute_again() -> None:
    graph = nn.trace(residual(), (3, 20, 20))
    bound = simplify(graph, BATCH)
    assert stored_activations(bound, BATCH) == []
    with pytest.raises(CompileError, match=r"this takes at least 0\.\d+ MB with a batch of 6.*; 0 MB were allowed"):
        compile(graph, BATCH, 1, memory=1000)
