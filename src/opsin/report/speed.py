"""Speed and memory of a model on this machine."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from math import prod
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import nn
from opsin.backends.base import Program
from opsin.backends.native.machine_peak import cpu_model
from opsin.backends.native.program import Native
from opsin.base.processors import processors
from opsin.model import Model

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

MAX_RUNS = 15
"""Runs of which the latency is the median."""
THROUGHPUT_IMAGES = 64


@dataclass(frozen=True)
class Speed:
    """The speed of inference, from pixels to the network's outputs, on all `cores` of `machine`.

    `latency` is the median of seconds for one image, `throughput` is images per second for many at once. `memory` is
    the bytes of parameters and activations for one image, None if the engine does not report it; `peak` is the peak
    memory of this process in bytes, None if the system does not report it.
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


def measure_speed(model: Model, seconds: float) -> Speed:
    """Time `model` for about `seconds`, without compilation."""
    pixels = _random_samples(model)
    program = model.program(1)

    def run() -> float:
        begin = perf_counter()
        program.run(inputs=model.normalized(pixels[:1]))
        return perf_counter() - begin

    end = perf_counter() + seconds
    run()
    times = [run()]
    while len(times) < MAX_RUNS and perf_counter() < end:
        times.append(run())
    model.outputs(pixels)
    begin = perf_counter()
    model.outputs(pixels)
    throughput = THROUGHPUT_IMAGES / (perf_counter() - begin)
    description = nn.describe(model.graph)
    return Speed(
        cpu_model(), processors(),
        description.parameters, description.macs, median(times), throughput,
        _program_memory(program), peak_memory(),
    )  # fmt: skip


def _random_samples(model: Model) -> NDArray[Any]:
    shape = model.preprocessing.input_shape
    random = np.random.default_rng(0)
    if model.input is None:
        return random.integers(0, 256, (THROUGHPUT_IMAGES, *shape), dtype=np.uint8)
    bits = random.integers(0, 2**64, (THROUGHPUT_IMAGES, prod(shape)), dtype=np.uint64)
    samples: NDArray[Any] = model.input.random(bits)
    return samples


def _program_memory(program: Program) -> int | None:
    if not isinstance(program, Native):
        return None
    plan = program.plan
    return 4 * (plan.permanent_size + plan.arena_size + plan.table_size + program.threads * plan.scratch_size)


def peak_memory() -> int | None:
    """Return the peak memory of this process in bytes; None if the system does not report it."""
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
