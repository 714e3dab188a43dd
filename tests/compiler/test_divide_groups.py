"""Groups by sample, divided for more threads than a batch has chunks."""

from __future__ import annotations

from opsin import nn, zoo
from opsin.compiler.divide_groups import divide_groups
from opsin.compiler.execution_plan import ExecutionPlan, make_plan
from opsin.compiler.schedule import dependencies
from opsin.kernels.ir import TARGETS


def plan(batch: int) -> ExecutionPlan:
    graph = nn.training_graph(zoo.create("resnet18"), (3, 224, 224), nn.optimizers.SGD(momentum=0.9))
    return make_plan(graph, batch, TARGETS[0])


def test_groups_by_sample_are_divided_for_many_threads() -> None:
    whole = plan(8)
    by_sample = [group for group in whole.groups if group.by_sample]
    for threads in (1, 2, 4, 8):
        assert divide_groups(whole.groups, whole.batch, whole.chunk, threads) == whole.groups
    divided = divide_groups(whole.groups, whole.batch, whole.chunk, 64)
    assert len(by_sample) > 20 and sum(group.by_sample for group in divided) <= 0.6 * len(by_sample)
    assert [call for group in divided for call in group.calls] == whole.calls


def test_calls_of_a_group_by_blocks_do_not_depend_on_each_other() -> None:
    whole = plan(8)
    for group in divide_groups(whole.groups, whole.batch, whole.chunk, 64):
        assert group.by_sample or not any(dependencies(group.calls))


def test_short_calls_stay_in_one_group() -> None:
    graph = nn.training_graph(zoo.create("lenet5"), (1, 28, 28), nn.optimizers.SGD(momentum=0.9))
    small = make_plan(graph, 64, TARGETS[0])
    assert divide_groups(small.groups, small.batch, small.chunk, 64) == small.groups
