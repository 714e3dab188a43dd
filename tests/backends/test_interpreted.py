"""A whole training step as machine code equals the same plan in the interpreter of the kernel language, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn
from opsin.backends.native import Native
from opsin.backends.native.driver import FLUSH, architecture, driver
from opsin.compiler.calls import KernelCall, Partition
from opsin.compiler.execution_plan import make_plan
from opsin.compiler.views import View
from opsin.kernels.ir import Target
from opsin.kernels.ir.interpreter import Interpreter

BATCH = 3
SLACK = 64
"""Elements after the end of each memory area, which kernels that read whole vectors may read."""
FAMILIES = {
    "Conv2d", "Conv2dWeight", "ConvPacked", "ConvPanels", "ConvWeightTaps", "Depthwise", "DepthwiseWeight",
    "WinogradProducts", "Moments", "MaxPoolGradient", "MatMul", "Pointwise", "Reduce",
}  # fmt: skip


def network() -> nn.Layer:
    """Return a network that needs most families of kernels and is small enough for the interpreter."""
    return nn.Sequential(
        nn.Conv2d(16, 3, padding=1, bias=False), nn.BatchNorm2d(), nn.ReLU(),
        nn.Conv2d(16, 3, padding=1, bias=False), nn.BatchNorm2d(), nn.ReLU6(),
        nn.Conv2d(16, 3, padding=1, groups=16), nn.MaxPool2d(2), nn.Tanh(),
        nn.Conv2d(48, 1, bias=False), nn.BatchNorm2d(), nn.ReLU(), nn.Conv2d(64, 1), nn.Tanh(),
        nn.Conv2d(9, 2, 2), nn.Flatten(), nn.Linear(7),
    )  # fmt: skip


class Interpreted:
    """A copy of a program's memory, in which its calls run in the interpreter."""

    def __init__(self, program: Native, target: Target) -> None:
        self.program, self.target = program, target
        self.areas = {
            id(area): np.concatenate([area, np.zeros(SLACK, np.float32)])
            for area in (program._permanent, program._tables, program._arena)
        }

    def run(self) -> None:
        for group in self.program.plan.groups:
            for call in group.calls:
                self.call(call)

    def call(self, call: KernelCall) -> None:
        interpreter = Interpreter(call.spec.build(self.target), self.target.fma)
        addresses = {key: interpreter.memory.add(area, untyped=True) for key, area in self.areas.items()}

        def address(view: View) -> int:
            area, offset = self.program._allocation(view.buffer)
            return addresses[id(area)] + 4 * (offset + view.offset)

        blocks = call.blocks * (self.program.batch if call.partition is Partition.PER_SAMPLE else 1)
        words = [argument if isinstance(argument, int) else address(argument) for argument in call.arguments]
        interpreter.run(words, 0, blocks, self.program.plan.scratch_size)

    def variables(self) -> dict[str, bytes]:
        program = self.program
        result = {}
        for name, view in program.plan.variables.items():
            area, offset = program._allocation(view.buffer)
            first, strides = self.areas[id(area)][offset + view.offset :], [4 * stride for stride in view.strides]
            result[name] = np.lib.stride_tricks.as_strided(first, view.shape, strides).tobytes()
        return result


def test_a_training_step_has_the_interpreters_bits(target: Target) -> None:
    graph = nn.training_graph(network(), (3, 12, 12), nn.optimizers.SGD(momentum=0.9))
    plan = make_plan(graph, BATCH, target)
    assert {type(call.spec).__name__ for call in plan.calls} >= FAMILIES
    program, rng = Native(plan, 2, target), np.random.default_rng(0)
    program.load_state(nn.initial_state(graph, seed=1))
    images, labels = rng.standard_normal((BATCH, 3, 12, 12), np.float32), rng.integers(0, 7, BATCH)
    # The first run writes the inputs; the second begins with the same memory natively and in the interpreter.
    program.run(inputs=images, labels=labels, learning_rate=0.1)
    interpreted = Interpreted(program, target)
    before = interpreted.variables()
    program.run(inputs=images, labels=labels, learning_rate=0.1)
    interpreted.run()
    after = interpreted.variables()
    assert after != before
    expected = {name: value.tobytes() for name, value in program.state().items()}
    assert [name for name, value in after.items() if expected[name] != value] == []


@pytest.mark.parametrize(
    ("triple", "name"),
    [
        ("x86_64-unknown-linux-gnu", "x86"),
        ("x86_64-pc-windows-msvc", "x86"),
        ("aarch64-unknown-linux-gnu", "aarch64"),
        ("arm64-apple-darwin23.1.0", "aarch64"),
    ],
)
def test_the_driver_is_for_the_architecture(triple: str, name: str) -> None:
    assert architecture(triple) == name
    assert FLUSH[name][0] in driver(triple)
