"""Where the time of a program goes, call by call, beside what the machine can do at most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

from numpy.typing import ArrayLike

from opsin.backends.native.clock import ticks_per_second
from opsin.backends.native.machine_peak import fma_peak, memory_bandwidth
from opsin.backends.native.program import Native, Timing
from opsin.compiler.algorithm_names import algorithm
from opsin.compiler.calls import KernelCall
from opsin.compiler.views import View

BYTES = 4
"""Of a number."""


@dataclass(frozen=True)
class ProfileRow:
    """One call of a kernel in a run, or several added up."""

    layer: str
    direction: str
    algorithm: str
    operation: str
    fused: tuple[str, ...]
    """Operations of the network that are computed along with `operation`."""
    seconds: float
    """Of the run: what all threads spent together, divided by their number."""
    macs: int
    """Multiply-adds as direct summation needs them; Winograd's algorithm does fewer."""
    bytes: int
    """Of the operands and results, each counted once; a kernel that reads one several times moves more."""
    calls: int = 1

    @property
    def flops(self) -> float:
        """Effective floating-point operations a second of all threads, two for each multiply-add."""
        return 2 * self.macs / self.seconds if self.seconds else 0.0

    @property
    def bandwidth(self) -> float:
        """Bytes a second."""
        return self.bytes / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Profile:
    """The calls of one run, and the time in which threads only waited: all together make up `seconds`."""

    lines: tuple[ProfileRow, ...]
    seconds: float
    """Of the fastest run, from outside."""
    runs: int
    """How many there were."""
    threads: int
    peak: float
    """Floating-point operations a second that the machine does at most, measured."""
    bandwidth: float
    """Bytes a second from and to memory, measured."""

    @property
    def waiting(self) -> float:
        """Seconds in which threads waited for each other, or for the inputs to be copied."""
        return max(0.0, self.seconds - sum(line.seconds for line in self.lines))

    def share(self, seconds: float) -> float:
        """Of the whole run."""
        return seconds / self.total

    @property
    def total(self) -> float:
        """What all lines and the waiting add up to."""
        return self.waiting + sum(line.seconds for line in self.lines)


def profile(program: Native, inputs: Mapping[str, ArrayLike], seconds: float = 2.0, least: int = 3) -> Profile:
    """Runs `program` for about `seconds`, at least `least` times after one that warms up: what the fastest run took.

    The runs are real ones: they update the variables. The machine's limits are measured before and after.
    """
    program.run(**inputs)
    peaks = [(fma_peak(program.threads), memory_bandwidth(program.threads))]
    runs: list[tuple[float, list[Timing]]] = []
    while len(runs) < least or sum(wall for wall, _ in runs) < seconds:
        begin = perf_counter()
        timings = program.profile(**inputs)
        runs.append((perf_counter() - begin, timings))
    peaks.append((fma_peak(program.threads), memory_bandwidth(program.threads)))
    wall, timings = min(runs, key=lambda run: run[0])
    rate = ticks_per_second() * program.threads
    once = sum(len(group.calls) for group in program.plan.groups[: program.plan.setup])
    lines = [_line(timing.call, timing.ticks / rate) for timing in timings[once:]]
    peak, bandwidth = map(max, zip(*peaks, strict=True))
    return Profile(tuple(lines), wall, len(runs), program.threads, peak, bandwidth)


def moved(call: KernelCall) -> int:
    """Bytes of all that a call reads and writes, each element once."""
    views = {
        (arg.buffer, arg.offset, arg.shape, arg.strides): arg
        for arg in call.arguments
        if isinstance(arg, View) and arg.buffer.element != "place"
    }
    return sum(
        _own_bytes(view) * ((view.buffer in call.reads) + (view.buffer in call.writes)) for view in views.values()
    )


def added(lines: Sequence[ProfileRow]) -> ProfileRow:
    """Several lines as one, which is called as the one that multiplies most, or takes longest."""
    first = max(lines, key=lambda line: (line.macs, line.seconds))
    return ProfileRow(
        first.layer, first.direction, first.algorithm, first.operation,
        tuple(dict.fromkeys(name for line in lines for name in line.fused)),
        sum(line.seconds for line in lines), sum(line.macs for line in lines), sum(line.bytes for line in lines),
        sum(line.calls for line in lines),
    )  # fmt: skip


def _line(call: KernelCall, seconds: float) -> ProfileRow:
    return ProfileRow(
        call.scope, call.direction, algorithm(call.spec), call.label, call.fused, seconds, call.macs, moved(call)
    )


def _own_bytes(view: View) -> int:
    """Of the elements that a view has of its own: broadcasting repeats none."""
    count = 1
    for n, stride in zip(view.shape, view.strides, strict=True):
        count *= n if stride else 1
    return BYTES * min(count, view.buffer.size)
