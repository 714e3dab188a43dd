"""Compiling many kernels at once, in processes of their own: LLVM's Python binding works on one at a time.

A process gets specifications on its standard input and gives machine code on its standard output. What a process
fails to give, for whatever reason, is compiled by the one that asked, so that nothing depends on it.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from typing import TypeAlias

from opsin.engines.native import codegen
from opsin.engines.native.render import render
from opsin.kernels.spec import KernelSpec
from opsin.loops import Target

Job: TypeAlias = "tuple[str, KernelSpec]"
"""The name of the function, and what it is to do."""

ENOUGH = 24
"""Kernels from which on it pays to start processes, which takes a third of a second each."""
MOST = 8
"""Most processes."""


def compile_kernel(symbol: str, spec: KernelSpec, target: Target) -> bytes:
    """The object that holds `spec`'s machine code as the function `symbol`."""
    kernel = spec.build(target)
    kernel.name = symbol
    return codegen.object_code(render(kernel, target))


def compile_all(jobs: Sequence[Job], target: Target) -> dict[str, bytes]:
    """Objects by symbol, from as many processes as there are cores; fewer where some of them fail."""
    count = min(os.cpu_count() or 1, MOST, len(jobs))
    if len(jobs) < ENOUGH or count < 2 or not sys.executable:
        return {symbol: compile_kernel(symbol, spec, target) for symbol, spec in jobs}
    helpers = [_Helper(jobs[number::count], target) for number in range(1, count)]
    done = {symbol: compile_kernel(symbol, spec, target) for symbol, spec in jobs[::count]}
    for helper in helpers:
        done |= helper.results()
    return done


class _Helper:
    """A process that compiles some kernels, and the thread that talks with it."""

    def __init__(self, jobs: Sequence[Job], target: Target) -> None:
        self._found: dict[str, bytes] = {}
        self._thread = Thread(target=self._work, args=(pickle.dumps((jobs, target)),), daemon=True)
        self._thread.start()

    def _work(self, request: bytes) -> None:
        paths = [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        command = [sys.executable, "-c", "from opsin.engines.native.workshop import serve; serve()"]
        try:
            answer = subprocess.run(
                command, input=request, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
            )
            if answer.returncode == 0:
                self._found = pickle.loads(answer.stdout)
        except OSError:
            pass  # no process can be started here

    def results(self) -> dict[str, bytes]:
        """What it has compiled, once it has ended."""
        self._thread.join()
        return self._found


def serve() -> None:
    """What a helper process does."""
    jobs, target = pickle.loads(sys.stdin.buffer.read())
    sys.stdout.buffer.write(pickle.dumps({symbol: compile_kernel(symbol, spec, target) for symbol, spec in jobs}))
