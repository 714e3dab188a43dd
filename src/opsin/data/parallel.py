"""Run a function for many items on all cores, or ahead of their use. It should release the global interpreter lock."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from itertools import islice
from threading import Event, Lock
from typing import TypeAlias, TypeVar

from opsin.base.processors import processors

T = TypeVar("T")

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of finished items and the total."""

PROGRESS_INTERVAL = 0.1
"""Seconds between two progress reports."""


def for_each(work: Callable[[int], None], indices: Sequence[int], on_progress: Progress | None = None) -> None:
    """Call `work` for every index, in any order. The first error, or Ctrl-C, stops it after the items in progress."""
    workers = min(processors(), len(indices)) if len(indices) > 1 else len(indices)
    if workers <= 1 and on_progress is None:
        for index in indices:
            work(index)
        return
    queue = WorkQueue(indices)
    with ThreadPoolExecutor(workers or 1, "opsin") as pool:
        futures = [pool.submit(queue.run, work) for _ in range(workers)]
        try:
            while wait(futures, PROGRESS_INTERVAL, FIRST_EXCEPTION).not_done and not queue.stopped.is_set():
                if on_progress:
                    on_progress(queue.done, len(indices))
        finally:
            queue.stopped.set()
    for future in futures:
        future.result()
    if on_progress:
        on_progress(len(indices), len(indices))


def prefetch(work: Callable[[int], T], indices: Iterable[int], count: int) -> Generator[T, None, None]:
    """Yield `work` of every index, in order; a thread computes up to `count` results ahead.

    In a forked process, the iterator continues with a new thread.
    """
    remaining_indices = iter(indices)
    pool, process = ThreadPoolExecutor(1, "opsin-batches"), os.getpid()
    queue = deque((index, pool.submit(work, index)) for index in islice(remaining_indices, count))
    try:
        while queue:
            if os.getpid() != process:
                pool, process = ThreadPoolExecutor(1, "opsin-batches"), os.getpid()
                queue = deque((index, pool.submit(work, index)) for index, _ in queue)
            result = queue.popleft()[1].result()
            queue.extend((index, pool.submit(work, index)) for index in islice(remaining_indices, 1))
            yield result
    finally:
        if os.getpid() == process:
            pool.shutdown(cancel_futures=True)


class WorkQueue:
    """Indices that several threads process."""

    def __init__(self, indices: Sequence[int]) -> None:
        self.rest, self.lock, self.stopped, self.done = iter(indices), Lock(), Event(), 0

    def run(self, work: Callable[[int], None]) -> None:
        """Process indices until none is left or a call fails."""
        try:
            while not self.stopped.is_set() and (index := self.next()) is not None:
                work(index)
                with self.lock:
                    self.done += 1
        except BaseException:
            self.stopped.set()
            raise

    def next(self) -> int | None:
        with self.lock:
            return next(self.rest, None)
