"""Threads that enter a program together, and wait between runs without costing anything."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from functools import cache

Entry = Callable[[int, int], None]
"""What each thread runs: (thread number, number of threads)."""


class Pool:
    """`threads` - 1 helpers beside the calling thread; made when first needed in a process, never forked along."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._go = [threading.Semaphore(0) for _ in range(threads)]
        self._done = threading.Semaphore(0)
        self._entry: Entry | None = None
        self._busy = threading.Lock()
        for number in range(1, threads):
            threading.Thread(target=self._help, args=(number,), name=f"opsin-{number}", daemon=True).start()

    def _help(self, number: int) -> None:
        while True:
            self._go[number].acquire()
            entry = self._entry
            assert entry is not None
            entry(number, self.threads)
            self._done.release()

    def run(self, entry: Entry) -> None:
        """Runs `entry` on every thread, and returns when all have."""
        with self._busy:
            self._entry = entry
            for number in range(1, self.threads):
                self._go[number].release()
            entry(0, self.threads)
            for _ in range(1, self.threads):
                self._done.acquire()


@cache
def _pool(threads: int, process: int) -> Pool:
    return Pool(threads)


def pool(threads: int) -> Pool:
    """The pool of `threads` threads of this process."""
    return _pool(threads, os.getpid())


def default_threads() -> int:
    """The processors this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return max(1, len(affinity(0)) if affinity else os.cpu_count() or 1)


@cache
def yield_address() -> int:
    """The address of the system's function that offers the processor to other threads."""
    if sys.platform == "win32":
        function = ctypes.WinDLL("kernel32").SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0)
