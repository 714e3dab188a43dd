"""The time of a program, call by call, next to the peak performance of the machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

from numpy.typing import ArrayLike

from opsin.backends.native.clock import ticks_per_second
from opsin.backends.native.machine_peak import fma_peak, memory_bandwidth
from opsin.backends.native.program import Native, Timing
from opsin.compiler.algorithm_names import algorithm
from opsin.compiler.calls import KernelCall
from opsin.compiler.views import View
from opsin.kernels.ir import ELEMENT_BYTES


@dataclass(frozen=True)
class ProfileRow:
    """One call of a kernel in a run, or the sum of several."""

    layer: str
    direction: str
    algorithm: str
    operation: str
    fused: tuple[str, ...]
    """Operations of the network that are fused with `operation`."""
    seconds: float
    """The time that all threads spent in total, divided by their number."""
    macs: int
    """Multiply-accumulate operations of direct summation; Winograd's algorithm does fewer."""
    bytes: int
    """Bytes of operands and results, each counted once; a kernel that reads one several times moves more."""
    calls: int = 1

    @property
    def flops(self) -> float:
        """Effective FLOP/s of all threads, two operations for each multiply-accumulate."""
        return 2 * self.macs / self.seconds if self.seconds else 0.0

    @property
    def bandwidth(self) -> float:
        """Bytes a second."""
        return self.bytes / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Profile:
    """The calls of one run, and the time in which threads only waited: their sum is `seconds`."""

    lines: tuple[ProfileRow, ...]
    seconds: float
    """Wall-clock time of the fastest run."""
    runs: int
    """The number of timed runs."""
    threads: int
    peak: float
    """The machine's peak FLOP/s, measured."""
    bandwidth: float
    """The machine's memory bandwidth in bytes a second, measured."""

    @property
    def waiting(self) -> float:
        """Seconds in which threads waited for each other, or for inputs to be copied."""
        return max(0.0, self.seconds - sum(line.seconds for line in self.lines))

    def share(self, seconds: float) -> float:
        """Return `seconds` as a share of the whole run."""
        return seconds / self.total

    @property
    def total(self) -> float:
        """Seconds of all lines and of waiting."""
        return self.waiting + sum(line.seconds for line in self.lines)


def profile(
    program: Native,
    inputs: Mapping[str, ArrayLike],
    seconds: float = 2.0,
    min_runs: int = 3,
    clock: Callable[[], float] = perf_counter,
) -> Profile:
    """Run `program` for about `seconds`, at least `min_runs` times after a warm-up run; return the fastest run.

    The runs update the variables, as all runs do. The machine's peak is measured before and after them. `clock` returns
    the current time in seconds.
    """
    program.run(**inputs)
    peaks = [(fma_peak(program.threads), memory_bandwidth(program.threads))]
    runs: list[tuple[float, list[Timing]]] = []
    while len(runs) < min_runs or sum(wall for wall, _ in runs) < seconds:
        begin = clock()
        timings = program.profile(**inputs)
        runs.append((clock() - begin, timings))
    peaks.append((fma_peak(program.threads), memory_bandwidth(program.threads)))
    wall, timings = min(runs, key=lambda run: run[0])
    rate = ticks_per_second() * program.threads
    setup_calls = sum(len(group.calls) for group in program.plan.groups[: program.plan.setup])
    lines = [_row(timing.call, timing.ticks / rate) for timing in timings[setup_calls:]]
    peak, bandwidth = map(max, zip(*peaks, strict=True))
    return Profile(tuple(lines), wall, len(runs), program.threads, peak, bandwidth)


def bytes_moved(call: KernelCall) -> int:
    """Return the bytes that a call reads and writes, each element counted once."""
    views = {
        (arg.buffer, arg.offset, arg.shape, arg.strides): arg
        for arg in call.arguments
        if isinstance(arg, View) and arg.buffer.element != "place"
    }
    return sum(
        _view_bytes(view) * ((view.buffer in call.reads) + (view.buffer in call.writes)) for view in views.values()
    )


def summed(lines: Sequence[ProfileRow]) -> ProfileRow:
    """Return the sum of several rows, named after the one with the most multiply-accumulates, or the longest time."""
    first = max(lines, key=lambda line: (line.macs, line.seconds))
    return ProfileRow(
        first.layer, first.direction, first.algorithm, first.operation,
        tuple(dict.fromkeys(name for line in lines for name in line.fused)),
        sum(line.seconds for line in lines), sum(line.macs for line in lines), sum(line.bytes for line in lines),
        sum(line.calls for line in lines),
    )  # fmt: skip


def _row(call: KernelCall, seconds: float) -> ProfileRow:
    return ProfileRow(
        call.scope, call.direction, algorithm(call.spec), call.label, call.fused, seconds, call.macs, bytes_moved(call)
    )


def _view_bytes(view: View) -> int:
    """Return the bytes of a view's distinct elements: broadcast ones count once."""
    count = 1
    for n, stride in zip(view.shape, view.strides, strict=True):
        count *= n if stride else 1
    return ELEMENT_BYTES[view.buffer.element] * min(count, view.buffer.size)
