"""Compiling many kernels at once, in processes of their own: LLVM's Python binding works on one at a time.

A process gets specifications on its standard input and gives machine code on its standard output, again and again.
What a process fails to give, for whatever reason, is compiled by the one that asked, so that nothing depends on it.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from typing import IO, TypeAlias

from opsin.backends.native import codegen
from opsin.backends.native.render import render
from opsin.base.processors import processors
from opsin.kernels.ir import Target
from opsin.kernels.spec import KernelSpec

Job: TypeAlias = "tuple[str, KernelSpec]"
"""The name of the function, and what it is to do."""

ENOUGH = 24
"""Kernels from which on it pays to start processes, which takes a third of a second each."""
MOST = 8
"""Most processes."""
SHARES = 4
"""Of what is left, a worker takes as much as if all were to come again so many times."""


def compile_kernel(symbol: str, spec: KernelSpec, target: Target) -> bytes:
    """The object that holds `spec`'s machine code as the function `symbol`."""
    kernel = spec.build(target)
    kernel.name = symbol
    return codegen.object_code(render(kernel, target))


def compile_all(jobs: Sequence[Job], target: Target) -> dict[str, bytes]:
    """Objects by symbol, made by as many processes as there are cores, of which this is one."""
    count = min(processors(), MOST) if len(jobs) >= ENOUGH and sys.executable else 1
    queue = _Queue(jobs, count)
    helpers = [_Helper(queue, target) for _ in range(1, count)]
    done: dict[str, bytes] = {}
    while taken := queue.take():
        done |= _compiled(taken, target)
    for helper in helpers:
        done |= helper.results()
    return done | _compiled([job for job in jobs if job[0] not in done], target)


def _compiled(jobs: Sequence[Job], target: Target) -> dict[str, bytes]:
    return {symbol: compile_kernel(symbol, spec, target) for symbol, spec in jobs}


class _Queue:
    """Jobs that several workers take: many at a time at first, one by one in the end, so that all end together."""

    def __init__(self, jobs: Sequence[Job], workers: int) -> None:
        self._jobs, self._workers = list(jobs), workers
        self._lock = Lock()

    def take(self) -> list[Job]:
        """Some jobs that nobody has taken; none where none is left."""
        with self._lock:
            count = -(-len(self._jobs) // (SHARES * self._workers))
            taken, self._jobs = self._jobs[:count], self._jobs[count:]
            return taken


class _Helper:
    """A process that compiles kernels, and the thread that talks with it."""

    def __init__(self, queue: _Queue, target: Target) -> None:
        self._found: dict[str, bytes] = {}
        self._thread = Thread(target=self._work, args=(queue, target), daemon=True)
        self._thread.start()

    def _work(self, queue: _Queue, target: Target) -> None:
        paths = [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        command = [sys.executable, "-c", "from opsin.backends.native.compile_workers import serve; serve()"]
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        try:
            with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=nothing) as process:
                assert process.stdin and process.stdout
                while jobs := queue.take():
                    _send((jobs, target), process.stdin)
                    self._found |= pickle.load(process.stdout)
                # Said, since the pipe does not end as long as a process that was forked meanwhile has it open, too.
                _send(([], target), process.stdin)
        except (OSError, EOFError, pickle.UnpicklingError):
            pass  # no process can be started here, or it has ended: what it took is left to others

    def results(self) -> dict[str, bytes]:
        """What it has compiled, once it has ended."""
        self._thread.join()
        return self._found


def serve() -> None:
    """What a helper process does, until it is given no jobs, or nobody is there any more."""
    with suppress(EOFError):
        while (given := pickle.load(sys.stdin.buffer))[0]:
            _send(_compiled(*given), sys.stdout.buffer)


def _send(message: object, pipe: IO[bytes]) -> None:
    pickle.dump(message, pipe)
    pipe.flush()
