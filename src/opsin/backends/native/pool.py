"""Threads that run a program together, and use no processor time between runs."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Sequence
from functools import cache

import numpy as np

from opsin.backends.native.driver import LINE_WORDS, PARKED, STATES_WORD
from opsin.backends.native.kernel_store import driver_addresses
from opsin.base.concurrency import ForkLock

RUN = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
SERVE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
WAKE = ctypes.CFUNCTYPE(None)


class Job:
    """The addresses that the driver reads: those of its tables, and of each thread's scratch memory."""

    def __init__(self, groups: int, calls: int, sizes: int, scratch: Sequence[int]) -> None:
        self.tables = np.array((groups, calls, sizes), np.int64)
        self.scratch = np.array(scratch, np.int64)


class Pool:
    """The calling thread and `threads` - 1 helper threads."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        run, serve = driver_addresses()
        self._run, self._serve = RUN(run), SERVE(serve)
        self._busy = threading.Lock()
        self._control = np.zeros(STATES_WORD + LINE_WORDS * threads, np.int64)
        self._tables, self._address = self._control[:3], self._control.ctypes.data
        self._scratch = np.zeros(threads, np.int64)
        self._parked = [threading.Lock() for _ in range(threads)]
        for lock in self._parked:
            lock.acquire()
        # A lock's own method runs no Python code, so that no signal handler can run in between.
        self._wake = [WAKE(lock.release) for lock in self._parked]
        wakes = [ctypes.cast(wake, ctypes.c_void_p).value or 0 for wake in self._wake]
        self._wake_table = np.array(wakes, np.int64)
        self._control[3:7] = (yield_address(), threads, self._scratch.ctypes.data, self._wake_table.ctypes.data)
        self._control[STATES_WORD::LINE_WORDS] = PARKED
        self._empty_tables = np.array([1, 0, 0]), np.array([1, 0, 0, 0])  # A group by sample, without samples.
        for number in range(1, threads):
            threading.Thread(target=self._help, args=(number,), name=f"opsin-{number}", daemon=True).start()

    def _help(self, number: int) -> None:
        while True:
            self._parked[number].acquire()
            self._serve(self._address, number)

    def run(self, job: Job) -> None:
        """Run `job` on every thread, and return when all have finished."""
        with self._busy:
            self._tables[:] = job.tables
            self._scratch[:] = job.scratch
            self._run(self._address)

    def wake_all(self) -> None:
        """Wake and synchronise all threads: the next run waits for none."""
        groups, sizes = (words.ctypes.data for words in self._empty_tables)
        self.run(Job(groups, 0, sizes, self._scratch.tolist()))


_pools: dict[int, Pool] = {}
_create_lock = ForkLock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pools.clear)  # In the child, only the forking thread exists.


def pool(threads: int) -> Pool:
    """Return the pool of `threads` threads of this process; a forked process creates its own."""
    running_pool = _pools.get(threads)
    if running_pool is None:
        with _create_lock.lock:
            running_pool = _pools.get(threads)
            if running_pool is None:
                running_pool = _pools[threads] = Pool(threads)
    return running_pool


@cache
def yield_address() -> int:
    """Return the address of the system's function that yields the processor to other threads."""
    if sys.platform == "win32":
        function = ctypes.WinDLL("kernel32").SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0)
