"""Parallel compilation of many kernels, in worker processes: LLVM's Python binding compiles one at a time.

A worker reads specifications from its standard input and writes machine code to its standard output, until it gets no
more. Kernels that a worker fails to return, for whatever reason, are compiled by the main process.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from threading import Lock, Thread
from typing import IO, TypeAlias

from opsin.backends.native import codegen
from opsin.backends.native.render import render
from opsin.base.processes import start
from opsin.base.processors import processors
from opsin.kernels.ir import Target
from opsin.kernels.spec import KernelSpec

Job: TypeAlias = "tuple[str, KernelSpec]"
"""The name of the function, and the kernel that it is compiled from."""

MIN_PARALLEL_JOBS = 24
"""The minimum number of kernels for which worker processes pay off; each takes a third of a second to start."""
MAX_PROCESSES = 8
BATCHES_PER_WORKER = 4
"""A worker takes this fraction of its share of the remaining jobs at a time: all then finish together."""


def compile_kernel(symbol: str, spec: KernelSpec, target: Target) -> bytes:
    """Return the object that holds the machine code of `spec` as the function `symbol`."""
    kernel = spec.build(target)
    kernel.name = symbol
    return codegen.object_code(render(kernel, target))


def compile_all(jobs: Sequence[Job], target: Target) -> dict[str, bytes]:
    """Return objects by symbol, compiled by as many processes as there are cores, including this one."""
    count = min(processors(), MAX_PROCESSES) if len(jobs) >= MIN_PARALLEL_JOBS and sys.executable else 1
    queue = _Queue(jobs, count)
    workers = [_Worker(queue, target) for _ in range(1, count)]
    objects: dict[str, bytes] = {}
    while batch := queue.take():
        objects |= _compiled(batch, target)
    for worker in workers:
        objects |= worker.results()
    return objects | _compiled([job for job in jobs if job[0] not in objects], target)


def _compiled(jobs: Sequence[Job], target: Target) -> dict[str, bytes]:
    return {symbol: compile_kernel(symbol, spec, target) for symbol, spec in jobs}


class _Queue:
    """Jobs for several workers: many at a time at first and one by one at the end: all then finish together."""

    def __init__(self, jobs: Sequence[Job], workers: int) -> None:
        self._jobs, self._workers = list(jobs), workers
        self._lock = Lock()

    def take(self) -> list[Job]:
        """Return some of the remaining jobs; none if there are no more."""
        with self._lock:
            count = -(-len(self._jobs) // (BATCHES_PER_WORKER * self._workers))
            batch, self._jobs = self._jobs[:count], self._jobs[count:]
            return batch


class _Worker:
    """A process that compiles kernels, and the thread that communicates with it."""

    def __init__(self, queue: _Queue, target: Target) -> None:
        self._objects: dict[str, bytes] = {}
        self._thread = Thread(target=self._work, args=(queue, target), daemon=True)
        self._thread.start()

    def _work(self, queue: _Queue, target: Target) -> None:
        pipe = subprocess.PIPE
        try:
            with start(__name__, "serve", stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
                assert process.stdin and process.stdout
                while jobs := queue.take():
                    _send((jobs, target), process.stdin)
                    self._objects |= pickle.load(process.stdout)
                # An explicit end, because the pipe stays open as long as a process forked meanwhile holds it.
                _send(([], target), process.stdin)
        except (OSError, EOFError, pickle.UnpicklingError):
            pass  # No process can be started here, or it has ended: the main process compiles its jobs.

    def results(self) -> dict[str, bytes]:
        """Wait for the process to end; return the objects that it compiled."""
        self._thread.join()
        return self._objects


def serve() -> None:
    """Compile jobs from standard input until there are none, or until the main process has ended."""
    with suppress(EOFError):
        while (request := pickle.load(sys.stdin.buffer))[0]:
            _send(_compiled(*request), sys.stdout.buffer)


def _send(message: object, pipe: IO[bytes]) -> None:
    pickle.dump(message, pipe)
    pipe.flush()
