"""Passes and plans: what is fused, what is grouped, and where things lie."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsin import nn
from opsin import ops as F
from opsin.backends.reference import Reference
from opsin.compiler.arena import aligned_size, lifetimes, place
from opsin.compiler.calls import KernelCall, Partition
from opsin.compiler.execution_plan import make_plan
from opsin.compiler.fusion import FusionGroup, fusion_groups
from opsin.compiler.schedule import CallGroup, schedule
from opsin.compiler.simplify import simplify
from opsin.compiler.views import Buffer
from opsin.ir import BATCH, Graph, input_tensor, variable
from opsin.kernels.ir import Target
from opsin.kernels.reduce import Combine


def lenet() -> Graph:
    network = nn.Sequential(
        nn.Conv2d(6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(120), nn.ReLU(), nn.Linear(10),
    )  # fmt: skip
    return nn.training_graph(network, (1, 28, 28), optimizer=nn.optimizers.SGD(momentum=0.9))


def names(cluster: FusionGroup) -> list[str]:
    return [node.op.name for node in cluster]


def test_constants_are_computed_once_and_identities_go() -> None:
    x = input_tensor("x", (BATCH, 3))
    y = F.add(F.multiply(x, F.divide(F.constant(6.0), 6.0)), F.subtract(F.constant(2.0), 2.0))
    assert [node.op.name for node in simplify(Graph((x,), {"y": y}), 4).nodes] == ["input"]


def test_equal_nodes_become_one() -> None:
    x = input_tensor("x", (BATCH, 3))
    graph = simplify(Graph((x,), {"a": F.exp(F.tanh(x)), "b": F.log(F.tanh(x))}), 2)
    assert [node.op.name for node in graph.nodes].count("tanh") == 1


def test_the_mask_of_relu_moves_behind_the_pooling() -> None:
    x = input_tensor("x", (BATCH, 2, 6, 6))
    y = F.max_pool2d(F.relu(x), 2)
    (dx,) = F.gradients(F.sum(F.multiply(y, y)), [x])
    assert dx is not None
    graph = simplify(Graph((x,), {"dx": dx}), 3).verify()
    shapes = [node.output.shape for node in graph.nodes if node.op.name == "where"]
    assert shapes == [(3, 2, 3, 3)]
    pixels = {"x": np.random.default_rng(0).standard_normal((3, 2, 6, 6))}
    wanted = Reference(Graph((x,), {"dx": dx}), 3).run(**pixels)["dx"]
    np.testing.assert_array_equal(Reference(graph, 3).run(**pixels)["dx"], wanted)
    assert (wanted == 0).any()


def test_bias_and_activation_finish_the_convolution() -> None:
    x, w, b = input_tensor("x", (BATCH, 3, 8, 8)), variable("w", (4, 3, 3, 3)), variable("b", (4,))
    graph = simplify(Graph((x,), {"y": F.relu(F.conv2d(x, w, b))}), 2)
    anchored = [c for c in fusion_groups(graph) if c.anchor is not None and c.anchor.op.name == "conv2d"]
    assert names(anchored[0]) == ["conv2d", "add", "relu"]


def test_a_cluster_never_needs_its_own_result() -> None:
    """x → a → (reduction) → b, and b meets a again: one sweep would have to know the sum before it is made."""
    x = input_tensor("x", (BATCH, 5))
    a = F.exp(x)
    y = F.divide(a, F.sum(a, (1,), keepdims=True))
    found = fusion_groups(simplify(Graph((x,), {"y": y}), 3))
    assert [names(c) for c in found] == [["exp"], ["sum"], ["divide"]]


def test_masks_are_made_where_they_are_used() -> None:
    """The backward pass reads the activation's output; no mask is kept from the forward pass."""
    graph = simplify(lenet(), 8)
    for cluster in fusion_groups(graph):
        if cluster.anchor is not None and cluster.anchor.op.name == "conv2d":
            assert names(cluster) == ["conv2d", "add", "relu"]


def test_the_optimizer_finishes_the_weight_gradient_in_place(any_target: Target) -> None:
    plan = make_plan(lenet(), 8, any_target)
    weight = plan.variables["7.weight"].buffer
    writers = [call for call in plan.calls if weight in call.writes]
    assert [type(call.spec).__name__ for call in writers] == ["MatMul"]


def test_a_step_of_a_small_network_meets_few_times(any_target: Target) -> None:
    assert len(make_plan(lenet(), 64, any_target).groups) <= 5


@pytest.mark.parametrize("batch", [1, 3, 4, 64])
def test_every_call_comes_after_what_it_reads(batch: int, any_target: Target) -> None:
    plan = make_plan(lenet(), batch, any_target)
    written: set[Buffer] = set()
    for call in plan.calls:
        for buffer in call.reads:
            assert buffer.role != "temporary" or buffer in written
        written.update(call.writes)


@pytest.mark.parametrize("batch", [3, 64])
def test_buffers_that_live_together_do_not_overlap(batch: int, any_target: Target) -> None:
    plan = make_plan(lenet(), batch, any_target)
    spans = lifetimes(plan.groups, {view.buffer for view in plan.outputs.values()})
    for a, b in combinations(spans, 2):
        together = spans[a][0] <= spans[b][1] and spans[b][0] <= spans[a][1]
        at_a, at_b = plan.temporaries[a], plan.temporaries[b]
        assert not together or at_a + aligned_size(a.size) <= at_b or at_b + aligned_size(b.size) <= at_a
        assert max(at_a + a.size, at_b + b.size) <= plan.arena_size


@given(st.lists(st.tuples(st.integers(1, 500), st.integers(0, 9), st.integers(0, 9)), max_size=25))
def test_placing_is_sound_for_any_lifetimes(cases: list[tuple[int, int, int]]) -> None:
    spans = {Buffer(n, "f32", "temporary"): (min(a, b), max(a, b)) for n, a, b in cases}
    offsets, total = place(spans)
    for a, b in combinations(spans, 2):
        if spans[a][0] <= spans[b][1] and spans[b][0] <= spans[a][1]:
            assert offsets[a] + aligned_size(a.size) <= offsets[b] or offsets[b] + aligned_size(b.size) <= offsets[a]
    peak = max((sum(aligned_size(b.size) for b, (s, e) in spans.items() if s <= t <= e) for t in range(10)), default=0)
    assert peak <= total <= sum(aligned_size(b.size) for b in spans)


def call(partition: Partition, reads: dict[Buffer, bool], writes: dict[Buffer, bool]) -> KernelCall:
    return KernelCall(Combine(), (), partition, 1, reads, writes)


def test_calls_go_together_only_image_by_image() -> None:
    a, b, c = (Buffer(8, "f32", "temporary") for _ in range(3))
    first = call(Partition.PER_SAMPLE, {}, {a: True})
    follows = call(Partition.PER_SAMPLE, {a: True}, {b: True})
    mixes = call(Partition.PER_SAMPLE, {a: False}, {c: True})
    after = call(Partition.ANY, {b: True}, {})
    groups = schedule([first, follows, mixes, after], by_sample=True)
    assert [group.calls for group in groups] == [[first, follows], [after], [mixes]]
    assert [group.by_sample for group in groups] == [True, False, True]


def test_a_write_waits_for_earlier_readers() -> None:
    a = Buffer(8, "f32", "variable")
    reader, writer = call(Partition.ANY, {a: False}, {}), call(Partition.ANY, {}, {a: False})
    assert schedule([reader, writer], by_sample=True) == [CallGroup(False, [reader]), CallGroup(False, [writer])]


def test_a_new_batch_size_needs_hardly_any_new_kernels(any_target: Target) -> None:
    graph = lenet()
    small, large = ({c.spec for c in make_plan(graph, batch, any_target).calls} for batch in (64, 128))
    assert len(large - small) <= 2


def test_plans_are_the_same_every_time(any_target: Target) -> None:
    graph = lenet()
    first, second = make_plan(graph, 16, any_target), make_plan(graph, 16, any_target)
    assert [c.spec for c in first.calls] == [c.spec for c in second.calls]
    assert first.arena_size == second.arena_size
    assert np.all([len(a.calls) == len(b.calls) for a, b in zip(first.groups, second.groups, strict=True)])


def test_a_plan_can_be_read(any_target: Target) -> None:
    lines = str(make_plan(lenet(), 64, any_target)).splitlines()
    assert any(line.split() == "Conv2d 1 block an image conv2d 0".split() for line in lines)
    assert any(line.startswith("  Conv2dWeight       16 blocks, 4 images each") for line in lines)
    assert lines[0] == "group 0, image by image"
    assert "group 1, by blocks" in lines
    assert "scratch for each thread" in lines[-1]
