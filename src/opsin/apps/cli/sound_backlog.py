"""Sound that waits between the thread that receives it and the one that computes answers."""

from __future__ import annotations

from collections import deque
from threading import Condition, Event
from time import monotonic
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError

WAKE_INTERVAL = 0.1
"""Seconds after which a waiting thread looks whether it is to stop."""


class Block(NamedTuple):
    """Samples int16 and when they arrived, by the monotonic clock."""

    samples: NDArray[np.int16]
    arrival: float


class SoundBacklog:
    """A queue of blocks. With `limit`, the writer waits while more samples than this wait."""

    def __init__(self, stop: Event, limit: int | None = None) -> None:
        self._stop, self._limit = stop, limit
        self._blocks: deque[Block] = deque()
        self._changed = Condition()
        self._is_closed = False
        self._error: DataError | None = None
        self.waiting = 0
        """The samples that have not been taken."""

    def put(self, content: bytes) -> None:
        """Add samples of 16 bits, little-endian."""
        samples = np.frombuffer(content, "<i2").astype(np.int16)
        with self._changed:
            while self._limit is not None and self.waiting >= self._limit and not self._stop.is_set():
                self._changed.wait(WAKE_INTERVAL)
            self._blocks.append(Block(samples, monotonic()))
            self.waiting += len(samples)
            self._changed.notify_all()

    def close(self, error: DataError | None = None) -> None:
        """Say that no more sound comes. An `error` is raised by `take` after the last block."""
        with self._changed:
            self._is_closed, self._error = True, self._error or error
            self._changed.notify_all()

    def take(self, seconds: float | None = None) -> Block | None:
        """Wait for the next block; return None after the last one, after `seconds` without one, or after `stop`."""
        end = None if seconds is None else monotonic() + seconds
        with self._changed:
            while not (self._blocks or self._is_closed or self._stop.is_set() or (end and monotonic() >= end)):
                self._changed.wait(WAKE_INTERVAL)
            if self._blocks and not self._stop.is_set():
                block = self._blocks.popleft()
                self.waiting -= len(block.samples)
                self._changed.notify_all()
                return block
            if self._error and not self._stop.is_set():
                raise self._error
            return None
