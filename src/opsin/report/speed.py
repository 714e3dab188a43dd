"""What a model costs on this machine: time and memory, measured."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from opsin import nn
from opsin.backends.base import Program
from opsin.backends.native.machine_peak import cpu_model
from opsin.backends.native.program import Native
from opsin.base.processors import processors
from opsin.model import Model

try:
    import resource
except ImportError:  # Windows has no such count
    resource = None  # type: ignore[assignment]

RUNS = 15
MANY = 64


@dataclass(frozen=True)
class Speed:
    """Of predicting, from pixels to probabilities, on all the `cores` of `machine`.

    `latency` is the median of seconds for one image alone, `throughput` images a second for many at once, `memory`
    the bytes that parameters and intermediate results of one image take, None where the engine does not say; `peak`
    the most bytes that this process has had in memory so far, None where the system does not say.
    """

    machine: str
    cores: int
    parameters: int
    macs: int
    latency: float
    throughput: float
    memory: int | None
    peak: int | None

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


def measure(model: Model, seconds: float) -> Speed:
    """Times `model` for about `seconds`, apart from compiling."""
    channels, rows, columns = model.preprocessing.shape
    pixels = np.random.default_rng(0).integers(0, 256, (MANY, channels, rows, columns), dtype=np.uint8)
    program = model.engine(model.graph, 1, model.threads)
    program.load_state(model.state)

    def once() -> float:
        begin = perf_counter()
        program.run(inputs=model.preprocessing.apply(pixels[:1]))
        return perf_counter() - begin

    end = perf_counter() + seconds
    once()
    times = [once()]
    while len(times) < RUNS and perf_counter() < end:
        times.append(once())
    model.logits(pixels)
    begin = perf_counter()
    model.logits(pixels)
    throughput = MANY / (perf_counter() - begin)
    described = nn.describe(model.graph)
    return Speed(
        cpu_model(), processors(),
        described.parameters, described.macs, median(times), throughput,
        _memory(program), peak_memory(),
    )  # fmt: skip


def _memory(program: Program) -> int | None:
    if not isinstance(program, Native):
        return None
    plan = program.plan
    return 4 * (plan.permanent_size + plan.arena_size + plan.table_size + program.threads * plan.scratch_size)


def peak_memory() -> int | None:
    """The most bytes this process has had in memory; None where the system keeps no such count."""
    if resource is None:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
