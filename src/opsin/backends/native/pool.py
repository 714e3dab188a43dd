"""Threads that run a program together, and use no processor time between runs."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Sequence
from functools import cache
from time import perf_counter, sleep

import numpy as np
from numpy.typing import NDArray

from opsin.backends.native.driver import FIRST_GROUP_WORD, LINE_WORDS, PARKED, STATES_WORD
from opsin.backends.native.kernel_store import driver_addresses
from opsin.base.concurrency import ForkLock

RUN = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)
SERVE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
WAKE = ctypes.CFUNCTYPE(None)


MAX_WAKE_SECONDS = 0.05
"""The time that a helper gets to wake up before a run that is timed."""


class Job:
    """The addresses that the driver reads: those of its tables, and of each thread's scratch memory.

    `memory` is whatever holds them; a helper that comes late still reads it.
    """

    def __init__(self, groups: int, calls: int, sizes: int, scratch: Sequence[int], memory: object = None) -> None:
        self.tables = np.array((groups, calls, sizes), np.int64)
        self.scratch = np.array(scratch, np.int64)
        self.scratch_address = self.scratch.ctypes.data
        self.memory = memory


class Pool:
    """The calling thread and `threads` - 1 helper threads, which may flush denormal numbers to zero."""

    def __init__(self, threads: int, flush_denormals: bool) -> None:
        self.threads = threads
        run, serve = driver_addresses(flush_denormals)
        self._run, self._serve = RUN(run), SERVE(serve)
        self._busy = threading.Lock()
        self._control = _lines(STATES_WORD + 2 * LINE_WORDS * threads)
        self._tables, self._address = self._control[:3], self._control.ctypes.data
        self._recent_jobs: list[Job] = []
        self._parked = [threading.Lock() for _ in range(threads)]
        for lock in self._parked:
            lock.acquire()
        # A lock's own method runs no Python code, so that no signal handler can run in between.
        self._wake = [WAKE(lock.release) for lock in self._parked]
        wakes = [ctypes.cast(wake, ctypes.c_void_p).value or 0 for wake in self._wake]
        self._wake_table = np.array(wakes, np.int64)
        self._control[3:7] = (yield_address(), threads, 0, self._wake_table.ctypes.data)
        # The numbers of groups start at 1, so that no claim is of the first one.
        self._control[FIRST_GROUP_WORD] = 1
        states = self._control[STATES_WORD : STATES_WORD + LINE_WORDS * threads].reshape(threads, LINE_WORDS)
        self._states, self._awake = states[1:, 0], states[1:, 2]
        self._states[:] = PARKED
        sizes = np.array([0, 0, 0, 0], np.int64)
        self._empty_job = Job(0, 0, sizes.ctypes.data, [0] * threads, sizes)
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
            self._control[5] = job.scratch_address
            if job not in self._recent_jobs:
                self._recent_jobs.append(job)
            if not self._run(self._address):
                self._recent_jobs.clear()

    def wake_all(self) -> None:
        """Wake all threads, so that the next run waits for none, if they get processors soon."""
        self.run(self._empty_job)
        end = perf_counter() + MAX_WAKE_SECONDS
        while not self._awake.all() and perf_counter() < end:
            sleep(0)


def _lines(words: int) -> NDArray[np.int64]:
    """Return zeros that begin with a cache line."""
    memory = np.zeros(words + LINE_WORDS, np.int64)
    skip = -memory.ctypes.data % (8 * LINE_WORDS) // 8
    return memory[skip : skip + words]


_pools: dict[tuple[int, bool], Pool] = {}
_create_lock = ForkLock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pools.clear)  # In the child, only the forking thread exists.


def pool(threads: int, flush_denormals: bool = True) -> Pool:
    """Return the pool of `threads` threads of this process; a forked process creates its own."""
    key = threads, flush_denormals
    running_pool = _pools.get(key)
    if running_pool is None:
        with _create_lock.lock:
            running_pool = _pools.get(key)
            if running_pool is None:
                running_pool = _pools[key] = Pool(threads, flush_denormals)
    return running_pool


@cache
def yield_address() -> int:
    """Return the address of the system's function that yields the processor to other threads."""
    if sys.platform == "win32":
        function = ctypes.WinDLL("kernel32").SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0)
