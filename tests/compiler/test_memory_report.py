"""What a plan's memory is for, and which part of a step each call belongs to."""

from __future__ import annotations

from opsin import nn
from opsin.compiler.execution_plan import ExecutionPlan, make_plan
from opsin.compiler.memory_report import memory_report
from opsin.compiler.passes import DGRAD, FPROP, UPDATE, WGRAD
from opsin.kernels.ir import Target


class Net(nn.Layer):
    def __init__(self) -> None:
        self.conv1, self.bn1 = nn.Conv2d(8, 3, padding=1, bias=False), nn.BatchNorm2d()
        self.conv2, self.fc = nn.Conv2d(16, 3), nn.Linear(5)
        self.relu, self.flatten = nn.ReLU(), nn.Flatten()

    def forward(self, x):  # type: ignore[no-untyped-def]
        x = self.relu(self.bn1(self.conv1(x)))
        return self.fc(self.flatten(self.relu(self.conv2(x))))


def training(any_target: Target) -> ExecutionPlan:
    return make_plan(nn.training_graph(Net(), (3, 12, 12), nn.optimizers.AdamW()), 8, any_target)


def test_the_parts_add_up_to_the_whole(any_target: Target) -> None:
    plan = training(any_target)
    memory = memory_report(plan, 3)
    assert memory.total == plan.bytes_with(3)
    numbers = 8 * 3 * 9 + 2 * 8 + 16 * 8 * 9 + 16 + 1600 * 5 + 5
    assert 4 * numbers <= memory.parameters < 4 * numbers * 1.1
    assert 2 * memory.parameters <= memory.optimizer < 2.1 * memory.parameters
    assert memory.scratch == 3 * 4 * plan.scratch_size
    # Of the activations, at least the two convolutions' results wait for the backward pass.
    assert memory.activations >= 4 * 8 * (8 * 12 * 12 + 16 * 10 * 10)
    names = [stage.name for stage in memory.stages]
    assert names == ["conv1", "bn1", "relu", "conv2", "flatten", "fc", "loss"]
    assert all(stage.forward <= memory.arena and stage.backward <= memory.arena for stage in memory.stages)


def test_a_prediction_keeps_nothing_for_later(any_target: Target) -> None:
    plan = make_plan(nn.trace(Net(), (3, 12, 12)), 8, any_target)
    memory = memory_report(plan, 1)
    assert (memory.activations, memory.optimizer) == (0, 0)
    assert memory.total == plan.bytes_with(1)
    assert {call.direction for call in plan.calls} == {FPROP}


def test_every_call_knows_its_part_of_the_step(any_target: Target) -> None:
    directions = {(call.scope, call.label): call.direction for call in training(any_target).calls}
    assert directions["conv2", "conv2d"] == FPROP
    assert directions["conv2", "conv_transpose2d"] == DGRAD
    assert directions["conv1", "conv2d_weight"] == directions["conv2", "conv2d_weight"] == WGRAD
    assert all(direction == UPDATE for (scope, _), direction in directions.items() if scope == "optimizer")
    assert ("conv1", "conv_transpose2d") not in directions  # the gradient of the images is not needed


def test_a_call_says_what_it_holds(any_target: Target) -> None:
    calls = {(call.scope, call.label, call.direction): call for call in training(any_target).calls}
    conv = calls["conv2", "conv2d", FPROP]
    assert (conv.fused, conv.macs) == (("add", "relu"), 8 * 16 * 8 * 9 * 100)
    # The optimizer's update is computed with the gradient, and belongs to it.
    assert "sqrt" in calls["fc", "matmul", WGRAD].fused
