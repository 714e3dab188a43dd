"""What this machine takes for a graph: seconds a picture and memory, measured."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from opsin import nn
from opsin.engines.base import sizes
from opsin.engines.native import compile as compile_native
from opsin.graph import FLOAT, Graph

with suppress(ImportError):  # there is none on Windows
    import resource

RUNS = 3
"""Timed runs, after one that is not: the median is taken."""


@dataclass(frozen=True)
class Cost:
    """Of a compiled graph: `seconds` a picture, `bytes` of memory in all, `compiling` in seconds."""

    seconds: float
    bytes: int
    compiling: float


def measure(graph: Graph, batch: int, threads: int | None = None) -> Cost:
    """Compiles `graph` for this processor and runs it on noise."""
    begin = perf_counter()
    program = compile_native(graph, batch, threads)
    compiling = perf_counter() - begin
    program.load_state(nn.initial_state(program.graph, seed=0))
    inputs = _noise(program.graph)
    times = []
    for _ in range(1 + RUNS):
        begin = perf_counter()
        program.run(**inputs)
        times.append(perf_counter() - begin)
    plan = program.plan
    used = plan.bytes + 4 * plan.scratch_size * program.threads + sum(array.nbytes for array in inputs.values())
    return Cost(float(np.median(times[1:])) / batch, used, compiling)


def process_bytes() -> int:
    """The most memory that this process has had so far; 0 where the system does not say."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next((row for row in status.read_text().splitlines() if row.startswith("VmHWM:")), "VmHWM: 0 kB")
        return int(line.split()[1]) * 1024
    if "resource" not in globals():
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _noise(graph: Graph) -> dict[str, NDArray[np.float32] | NDArray[np.int32]]:
    """An input of each of the graph's: labels are 0, everything else is around it."""
    random = np.random.default_rng(0)
    found: dict[str, NDArray[np.float32] | NDArray[np.int32]] = {}
    for tensor in graph.inputs:
        shape = sizes(tensor.type)
        real = tensor.dtype == FLOAT
        found[tensor.node.attrs["name"]] = (
            random.normal(0, 1e-3, shape).astype(np.float32) if real else np.zeros(shape, np.int32)
        )
    return found
