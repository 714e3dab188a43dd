"""The cost of a graph on a machine: measured time and memory."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Protocol

import numpy as np

from opsin import nn
from opsin.backends.native import compile as compile_native
from opsin.backends.native.codegen import host
from opsin.backends.options import CompileOptions
from opsin.backends.tuning import TuningSummary, noise, tune
from opsin.compiler.precision import Precision, precision_named
from opsin.ir import Graph
from opsin.model.pretrained import is_available_offline
from opsin.training.non_finite import all_finite

with suppress(ImportError):  # Windows does not have it.
    import resource

TIMED_RUNS = 3
"""Runs of a graph that are timed, after one that is not. The median counts."""


@dataclass(frozen=True)
class Cost:
    """The time and memory that a compiled graph takes.

    `image_seconds` is the time of a run per image, `bytes` the memory in total. `compile_seconds` are spent once, and
    `snapshot_seconds` whenever all variables are copied and checked.
    """

    image_seconds: float
    bytes: int
    compile_seconds: float
    snapshot_seconds: float = 0.0


@dataclass
class ConvTuning:
    """Which algorithms convolutions use, by problem, and how much time is left to find faster ones.

    `winograd` allows algorithms with Winograd's rounding. If `enabled`, algorithms come from timing on this machine,
    now or earlier; new ones may be timed for `seconds`. `algorithms` maps problems to what was chosen (see
    `compiler.lower.conv_algorithms`), and `changed` of them differ from the compiler's defaults.
    """

    winograd: bool = True
    enabled: bool = False
    seconds: float = 0.0
    algorithms: dict[str, str] = field(default_factory=dict)
    changed: int = 0


class Machine(Protocol):
    """The interface to the machine that will train. Tests replace it."""

    def run_cost(self, graph: Graph, batch: int, threads: int | None, options: CompileOptions) -> Cost:
        """Return what `graph` takes for batches of `batch` images, compiled with `options`."""

    def tune(
        self, graph: Graph, batch: int, threads: int | None, seconds: float, precision: Precision
    ) -> TuningSummary:
        """Time the convolution algorithms of `graph` in `precision` within about `seconds`."""

    def process_bytes(self) -> int:
        """Return the peak memory of this process so far."""

    def has_weights(self, network: str) -> bool:
        """Return whether the network's published weights are available without a download."""

    def multiplies_bf16(self) -> bool:
        """Return whether the processor has instructions that multiply bfloat16."""


class LocalMachine:
    """The machine that this process runs on. `clock` gives the time in seconds."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self.clock = clock

    def run_cost(self, graph: Graph, batch: int, threads: int | None, options: CompileOptions) -> Cost:
        """Compile `graph` and time it on noise."""
        begin = self.clock()
        program = compile_native(graph, batch, threads, options=options)
        compile_seconds = self.clock() - begin
        program.load_state(nn.initial_state(program.graph, seed=0))
        inputs = noise(program.graph)
        times = []
        for _ in range(1 + TIMED_RUNS):
            begin = self.clock()
            program.run(**inputs)
            times.append(self.clock() - begin)
        plan = program.plan
        memory = plan.bytes + 4 * plan.scratch_size * program.threads + sum(array.nbytes for array in inputs.values())
        begin = self.clock()
        all_finite(program.state())
        snapshot_seconds = self.clock() - begin
        return Cost(float(np.median(times[1:])) / batch, memory, compile_seconds, snapshot_seconds)

    def tune(
        self, graph: Graph, batch: int, threads: int | None, seconds: float, precision: Precision
    ) -> TuningSummary:
        return tune(graph, batch, threads, seconds, precision=precision)

    def process_bytes(self) -> int:
        return process_bytes()

    def has_weights(self, network: str) -> bool:
        return is_available_offline(network)

    def multiplies_bf16(self) -> bool:
        return host().target.bf16_dot


LOCAL_MACHINE = LocalMachine()


class CostMeter:
    """Measures graphs in a `precision` on a machine, each with the fastest convolution algorithms found so far.

    Measuring changes `conv_tuning`: it spends the seconds and adds the algorithms.
    """

    def __init__(
        self,
        machine: Machine = LOCAL_MACHINE,
        threads: int | None = None,
        conv_tuning: ConvTuning | None = None,
        precision: str = Precision.FLOAT32,
    ) -> None:
        self.machine, self.threads = machine, threads
        self.conv_tuning, self.precision = conv_tuning or ConvTuning(), precision_named(precision)

    def measure(self, graph: Graph, batch: int) -> Cost:
        """Return what `graph` costs for batches of `batch` images.

        Tuned algorithms are adopted only if the whole graph is faster with them.
        """
        tuning = self.conv_tuning
        cost = self._run_cost(graph, batch, tuning.algorithms)
        if not (tuning.winograd and tuning.enabled):
            return cost
        begin = perf_counter()
        summary = self.machine.tune(graph, batch, self.threads, tuning.seconds, self.precision)
        if summary.overrides:
            algorithms = tuning.algorithms | summary.conv_algorithms
            tuned_cost = self._run_cost(graph, batch, algorithms)
            if tuned_cost.image_seconds < cost.image_seconds:
                tuning.algorithms = algorithms
                tuning.changed += len(summary.overrides)
                cost = tuned_cost
            else:
                summary = summary.reverted()
        summary.save(self.threads)
        tuning.seconds -= perf_counter() - begin
        return cost

    def evaluation_seconds(self, graph: Graph, batch: int) -> float:
        """Return the time per image of `graph` in evaluation, which is in float32 and uses no new tuning."""
        return self.in_float32().measure(graph, batch).image_seconds

    def in_float32(self) -> CostMeter:
        """Return a meter for graphs that are in float32 in any plan; it tunes nothing."""
        return CostMeter(self.machine, self.threads, ConvTuning(self.conv_tuning.winograd))

    def _run_cost(self, graph: Graph, batch: int, algorithms: dict[str, str]) -> Cost:
        options = CompileOptions(self.conv_tuning.winograd, algorithms, precision=self.precision)
        return self.machine.run_cost(graph, batch, self.threads, options)


def process_bytes() -> int:
    """Return the peak memory of this process so far, or 0 if the system does not report it."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next((row for row in status.read_text().splitlines() if row.startswith("VmHWM:")), "VmHWM: 0 kB")
        return int(line.split()[1]) * 1024
    if "resource" not in globals():
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
