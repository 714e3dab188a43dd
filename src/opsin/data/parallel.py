"""Run a function for many items on all cores, or ahead of their use. It should release the global interpreter lock."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from itertools import islice
from queue import Full, Queue
from threading import Event, Lock, Thread
from typing import Any, TypeAlias, TypeVar

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


WAKE_INTERVAL = 0.1
"""Seconds after which a waiting thread looks whether it is to stop."""


def in_thread(items: Iterator[T], count: int = 2) -> Generator[T, None, None]:
    """Yield `items`, which a thread computes up to `count` ahead. Several of these, nested, are a pipeline.

    If the consumer stops early, the thread ends after the item that it computes. An iterator that waits for something
    must therefore be ended first.
    """
    queue: Queue[tuple[Any, bool, BaseException | None]] = Queue(count)
    stop = Event()
    thread = Thread(target=_fill, args=(items, queue, stop), name="opsin-pipeline", daemon=True)
    thread.start()
    try:
        while True:
            item, is_last, error = queue.get()
            if error is not None:
                raise error
            if is_last:
                return
            yield item
    finally:
        stop.set()
        thread.join()


def _fill(items: Iterator[Any], queue: Queue[tuple[Any, bool, BaseException | None]], stop: Event) -> None:
    error: BaseException | None = None
    try:
        for item in items:
            if not _put(queue, (item, False, None), stop):
                break
    except BaseException as raised:
        error = raised
    finally:
        if isinstance(items, Generator):
            items.close()
        _put(queue, (None, True, error), stop)


def _put(queue: Queue[T], item: T, stop: Event) -> bool:
    """Wait until the queue has space. Return False if `stop` is set before."""
    while not stop.is_set():
        try:
            queue.put(item, timeout=WAKE_INTERVAL)
            return True
        except Full:
            continue
    return False


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
