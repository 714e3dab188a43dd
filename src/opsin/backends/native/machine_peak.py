"""The peak performance of this machine: FLOP/s of FMA instructions in registers, and memory bandwidth.

Both are measured by loops that do nothing else, on a given number of threads. The figures of programs are given as
shares of them: no program on the same threads exceeds the first, and none that streams its data exceeds the second.
"""

from __future__ import annotations

import ctypes
import os
import platform
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from opsin.backends.native import codegen, render
from opsin.base.concurrency import locked_cache
from opsin.kernels.ir import F32, Builder, Kernel, ScalarType, Target
from opsin.kernels.spec import KERNEL_FUNCTION

ACCUMULATORS = 12
"""Independent sums: enough to keep every pipeline busy, and few enough to stay in 16 registers."""
ITERATIONS = 2_000_000
STREAM_ELEMENTS = 2**23
"""Elements of each of three arrays, over all threads: 32 MiB, more than caches keep between two sweeps."""


class Peak:
    """A loop of nothing but FMA instructions in registers, on every thread; `flops` counts two for each."""

    def __init__(self, threads: int) -> None:
        lanes = codegen.host().target.lanes
        self._results = np.zeros((threads, lanes), np.float32)
        self._arguments = np.array([[row.ctypes.data] for row in self._results], np.int64)
        self._threads = ThreadPoolExecutor(threads)
        self.flops = 2 * ACCUMULATORS * lanes * ITERATIONS * threads

    def __call__(self) -> None:
        function, _ = _functions()
        list(self._threads.map(lambda words: function(words.ctypes.data, 0, 1, None), self._arguments))


class Triad:
    """The loop a = b + s · c over large arrays, a part for each thread; `bytes` counts reads of b and c, writes of a.

    The triad of STREAM (McCalpin, "Memory bandwidth and machine balance in current high performance computers", 1995).
    """

    def __init__(self, threads: int) -> None:
        lanes = codegen.host().target.lanes
        part = STREAM_ELEMENTS // threads // lanes * lanes
        self._arrays = [[_numbers(part, first) for first in (0.0, 1.0, 2.0)] for _ in range(threads)]
        self._arguments = np.array([[*(a.ctypes.data for a in arrays), part] for arrays in self._arrays], np.int64)
        self._threads = ThreadPoolExecutor(threads)
        self.bytes = 3 * 4 * part * threads

    def __call__(self) -> None:
        _, function = _functions()
        list(self._threads.map(lambda words: function(words.ctypes.data, 0, 1, None), self._arguments))


def fma_peak(threads: int, seconds: float = 0.15) -> float:
    """Return the FLOP/s of `threads` threads, two operations for each FMA: the best of a few calls."""
    peak = Peak(threads)
    return peak.flops / _fastest(peak, seconds)


def memory_bandwidth(threads: int, seconds: float = 0.15) -> float:
    """Return the bytes a second between memory and `threads` threads: the best of a few sweeps."""
    stream = Triad(threads)
    return stream.bytes / _fastest(stream, seconds)


def cpu_model() -> str:
    """Return the processor's name: the system's, else LLVM's, such as `neoverse-n1` or `apple-m1`.

    Linux gives names of x86 processors only.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    llvm_name = codegen.host().cpu
    return next((name for name in (*names, llvm_name) if name != "generic"), platform.machine())


def load() -> float | None:
    """Return the load average of the last minute; None if the system does not measure it."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _fastest(call: Peak | Triad, seconds: float) -> float:
    """Return the seconds of the fastest call within about `seconds`, of at least three calls."""
    times: list[float] = []
    call()
    while len(times) < 3 or sum(times) < seconds:
        begin = perf_counter()
        call()
        times.append(perf_counter() - begin)
    return min(times)


def _numbers(count: int, value: float) -> NDArray[np.float32]:
    """Return an array with mapped pages: the system maps them when they are written."""
    return np.full(count, value, np.float32)


@locked_cache()
def _functions() -> tuple[ctypes._CFunctionType, ctypes._CFunctionType]:
    """Return the machine code of the two loops, compiled once in a process."""
    target = codegen.host().target
    functions = []
    for kernel in (_multiply_adds(target), _triad(target)):
        code = codegen.object_code(render.render(kernel, target))
        functions.append(KERNEL_FUNCTION(*codegen.load(code, kernel.name)))
    return functions[0], functions[1]


def _multiply_adds(target: Target) -> Kernel:
    """Return the kernel of `Peak`; it stores a vector at its argument, and LLVM therefore keeps the sums."""
    k = Builder("opsin_multiply_adds")
    result, kind = k.buffer("result"), ScalarType(F32, target.lanes)
    factor, term = k.constant(0.999, kind), k.constant(0.001, kind)
    sums = [k.register(k.constant(float(i), kind)) for i in range(ACCUMULATORS)]
    with k.loop(0, ITERATIONS):
        for value in sums:
            value.set(k.fma(value.get(), factor, term))
    total = sums[0].get()
    for value in sums[1:]:
        total = total + value.get()
    k.store(result, 0, total)
    return k.kernel()


def _triad(target: Target) -> Kernel:
    """Return the kernel of `Triad`; its arguments are a, b, c, and their length, a multiple of the vector's."""
    k = Builder("opsin_triad")
    a, b, c, length = k.buffer("a"), k.buffer("b"), k.buffer("c"), k.index("length")
    factor = k.constant(0.5, ScalarType(F32, target.lanes))
    with k.loop(0, length, target.lanes) as first:
        left, right = k.load(b, first, target.lanes), k.load(c, first, target.lanes)
        k.store(a, first, k.fma(right, factor, left))
    return k.kernel()
