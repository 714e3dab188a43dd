"""Calls that run later, so that less lies in memory."""

from __future__ import annotations

import pytest

from opsin import nn, zoo
from opsin.compiler import execution_plan as plans
from opsin.compiler.arena import lifetimes, place
from opsin.compiler.calls import KernelCall, Partition
from opsin.compiler.execution_plan import ExecutionPlan, make_plan
from opsin.compiler.schedule import CallGroup, dependencies, follows, schedule
from opsin.compiler.sink_calls import sink_calls
from opsin.compiler.views import Buffer
from opsin.kernels.ir import Target
from opsin.kernels.reduce import Combine


def planned(batch: int, any_target: Target) -> ExecutionPlan:
    """A ResNet-20's training step: Winograd's transformed weights, strides, batch normalization."""
    network = zoo.find("resnet20_cifar")
    graph = nn.training_graph(network(), network.input_shape, nn.optimizers.SGD(momentum=0.9))
    return make_plan(graph, batch, any_target)


@pytest.mark.parametrize("batch", [2, 16])
def test_every_call_still_runs_after_what_it_dependencies(batch: int, any_target: Target) -> None:
    plan = planned(batch, any_target)
    calls = plan.calls
    home = {call: number for number, group in enumerate(plan.groups) for call in group.calls}
    needed = dependencies(calls)
    assert sum(map(len, needed)) > len(calls)
    for own, (call, before) in enumerate(zip(calls, needed, strict=True)):
        for number in before:
            earlier = calls[number]
            together = home[call] == home[earlier]
            assert number < own
            assert not together or (plan.groups[home[call]].by_sample and follows(call, earlier))
    for group in plan.groups:
        assert group.calls
        assert not group.by_sample or all(call.partition is not Partition.ANY for call in group.calls)


def test_less_memory_and_no_more_barriers(monkeypatch: pytest.MonkeyPatch, any_target: Target) -> None:
    less = planned(16, any_target)
    monkeypatch.setattr(plans, "sink_calls", lambda groups: groups)
    whole = planned(16, any_target)
    assert less.arena_size < 0.9 * whole.arena_size
    assert len(less.groups) <= len(whole.groups)
    assert sorted(str(call.spec) for call in less.calls) == sorted(str(call.spec) for call in whole.calls)


def call(reads: list[Buffer], writes: list[Buffer], partition: Partition = Partition.ANY) -> KernelCall:
    per_sample = partition is Partition.PER_SAMPLE
    return KernelCall(Combine(), (), partition, 1, dict.fromkeys(reads, per_sample), dict.fromkeys(writes, per_sample))


def test_a_call_moves_to_its_reader_where_that_frees_memory_and_stays_where_it_would_not() -> None:
    weights = Buffer(10, "f32", "variable")
    large, small, packed = (Buffer(size, "f32", "temporary") for size in (1000, 10, 500))
    first = call([weights], [large])
    pack, shrink = call([weights], [packed]), call([large], [small])
    last = call([packed, small], [Buffer(1, "f32", "temporary")])
    groups = schedule([first, pack, shrink, last], by_sample=False)
    assert [group.calls for group in groups] == [[first, pack], [shrink], [last]]
    moved = sink_calls(groups)
    # The packed weights wait for their reader; what makes a small result of a large one does not.
    assert [group.calls for group in moved] == [[first], [pack, shrink], [last]]
    assert place(lifetimes(moved, set()))[1] <= place(lifetimes(groups, set()))[1]


def test_a_call_joins_readers_that_follow_it_image_by_image() -> None:
    weights, x, y = Buffer(10, "f32", "input"), Buffer(64, "f32", "temporary"), Buffer(64, "f32", "temporary")
    other = Buffer(64, "f32", "temporary")
    fill, step, user = (
        call([weights], [x], Partition.PER_SAMPLE),
        call([weights], [other], Partition.PER_SAMPLE),
        call([x, other], [y], Partition.PER_SAMPLE),
    )
    moved = sink_calls([CallGroup(True, [fill, step]), CallGroup(True, [user])])
    assert [group.calls for group in moved] == [[fill, step, user]]
