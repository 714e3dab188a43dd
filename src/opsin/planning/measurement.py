"""What this machine takes for a graph: seconds an image and memory, measured."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np

from opsin import nn
from opsin.backends.native import compile as compile_native
from opsin.backends.tuning import noise, tune
from opsin.ir import Graph
from opsin.training.non_finite import finite

with suppress(ImportError):  # there is none on Windows
    import resource

RUNS = 3
"""Timed runs, after one that is not: the median is taken."""


@dataclass(frozen=True)
class Cost:
    """Of a compiled graph: `seconds` an image, `bytes` of memory in all, `compiling` in seconds, and `snapshot`, the
    seconds it takes to copy and check all its variables.
    """

    seconds: float
    bytes: int
    compiling: float
    snapshot: float = 0.0


@dataclass
class ConvTuning:
    """How convolutions are to be computed: `exact`, or by `choices` (see `compiler.lower.ways`), the model's apart.

    Where `timed`, choices come from timing on this machine, now or before; there are `seconds` left for it now, and so
    many `others` than the model's were found.
    """

    exact: bool = False
    timed: bool = False
    seconds: float = 0.0
    choices: dict[str, str] = field(default_factory=dict)
    others: int = 0


def measure(graph: Graph, batch: int, threads: int | None = None, ways: ConvTuning | None = None) -> Cost:
    """Compiles `graph` for this processor and runs it on noise.

    Ways that were timed are added to `ways` where the whole graph is faster by them.
    """
    ways = ways or ConvTuning()
    usual = _measured(graph, batch, threads, ways.exact, ways.choices)
    if ways.exact or not ways.timed:
        return usual
    begin = perf_counter()
    found = tune(graph, batch, threads, ways.seconds)
    if found.overrides:
        choices = ways.choices | found.conv_algorithms
        tuned = _measured(graph, batch, threads, False, choices)
        if tuned.seconds < usual.seconds:
            ways.choices, ways.others, usual = choices, ways.others + len(found.overrides), tuned
        else:
            found = found.reverted()
    found.save(threads)
    ways.seconds -= perf_counter() - begin
    return usual


def _measured(graph: Graph, batch: int, threads: int | None, exact: bool, choices: dict[str, str]) -> Cost:
    begin = perf_counter()
    program = compile_native(graph, batch, threads, winograd=not exact, conv_algorithms=choices)
    compiling = perf_counter() - begin
    program.load_state(nn.initial_state(program.graph, seed=0))
    inputs = noise(program.graph)
    times = []
    for _ in range(1 + RUNS):
        begin = perf_counter()
        program.run(**inputs)
        times.append(perf_counter() - begin)
    plan = program.plan
    used = plan.bytes + 4 * plan.scratch_size * program.threads + sum(array.nbytes for array in inputs.values())
    begin = perf_counter()
    finite(program.state())
    return Cost(float(np.median(times[1:])) / batch, used, compiling, perf_counter() - begin)


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
