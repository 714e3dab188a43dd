"""The interpreter's steps of planning grow in proportion to the number of layers.

A step is a line of Python. Time that a single line takes is not counted: operations on the bit masks of `FusionGroups`,
for example, take time in proportion to the number of nodes. `bench/compile_time.py` measures time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import opsin
from opsin import nn, zoo
from opsin.compiler.execution_plan import make_plan
from opsin.ir import Graph
from opsin.kernels.ir import TARGETS

HOME = str(opsin.__path__[0])
AVX2 = next(target for target in TARGETS if target.name == "avx2")


def count_steps(work: Callable[[], Any]) -> int:
    """Return how many lines of Opsin's own code `work` executes, counting repetitions."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace if frame.f_code.co_filename.startswith(HOME) else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def training_step(name: str) -> Graph:
    return nn.training_graph(zoo.create(name), (3, 32, 32), nn.optimizers.SGD(momentum=0.9))


def test_the_steps_of_planning_grow_with_the_number_of_layers() -> None:
    shallow, deep = training_step("resnet20_cifar"), training_step("resnet56_cifar")
    growth = len(deep.nodes) / len(shallow.nodes)
    assert growth > 2.5
    steps = [count_steps(lambda graph=graph: make_plan(graph, 8, AVX2)) for graph in (shallow, deep)]
    assert steps[1] < 1.05 * growth * steps[0]
