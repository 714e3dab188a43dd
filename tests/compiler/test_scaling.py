"""Planning takes as many more steps as a network has more layers."""

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


def lines(work: Callable[[], Any]) -> int:
    """How many lines of Opsin's own code `work` runs, in loops as often as they do."""
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


def step(name: str) -> Graph:
    return nn.training_graph(zoo.create(name), (3, 32, 32), nn.optimizers.SGD(momentum=0.9))


def test_planning_grows_with_the_number_of_layers() -> None:
    shallow, deep = step("resnet20_cifar"), step("resnet56_cifar")
    growth = len(deep.nodes) / len(shallow.nodes)
    assert growth > 2.5
    few, many = (lines(lambda graph=graph: make_plan(graph, 8, AVX2)) for graph in (shallow, deep))
    assert many < 1.05 * growth * few
