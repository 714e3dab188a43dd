"""Frames that wait until they are processed. The oldest are dropped if they arrive faster than that."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Condition, Event
from time import monotonic
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

MAX_DELAY = 0.5
"""Seconds that a frame may wait. If the oldest one has waited longer, the processing is behind."""

RECOVERY = 5.0
"""Seconds without a dropped frame after which the processing counts as in time again.

Until then, only the newest frame is taken. The dropped frames are thus spread evenly, and answers are about as old as
one frame takes, whatever the rate of arrival.
"""

WAKE_INTERVAL = 0.1
"""Seconds after which a waiting thread looks whether it is to stop."""


class Taken(NamedTuple, Generic[T]):
    """A frame, when it arrived, and the number of frames that were dropped in favour of it."""

    item: T
    arrival: float
    dropped: int


class Backlog(Generic[T]):
    """A queue from one thread to another that drops old items in favour of new ones.

    It holds at most `limit` items; without one, only the waiting time counts. After `stop`, the rest is left.
    """

    def __init__(self, stop: Event, limit: int | None = None, clock: Callable[[], float] = monotonic) -> None:
        self._stop, self._limit, self._clock = stop, limit, clock
        self._items: deque[tuple[T, float | None]] = deque()
        self._changed = Condition()
        self._is_closed = False
        self._error: BaseException | None = None
        self._dropped = 0
        self._behind_until = 0.0

    def put(self, item: T, *, in_time: bool = True) -> None:
        """Add an item. Items that were there from the beginning need not be processed `in_time`, and never dropped."""
        with self._changed:
            self._items.append((item, self._clock() if in_time else None))
            if self._limit is not None and len(self._items) > self._limit:
                self._items.popleft()
                self._dropped += 1
            self._changed.notify()

    def close(self, error: BaseException | None = None) -> None:
        """Say that no more items come. An `error` is raised by `take` after the last one."""
        with self._changed:
            self._is_closed, self._error = True, self._error or error
            self._changed.notify()

    def take(self) -> Taken[T] | None:
        """Wait for the next item. Return None after the last one, or once `stop` is set."""
        with self._changed:
            while not self._items and not self._is_closed and not self._stop.is_set():
                self._changed.wait(WAKE_INTERVAL)
            if self._stop.is_set():
                return None
            if self._items:
                return self._next()
            if self._error:
                raise self._error
            return None

    def _next(self) -> Taken[T]:
        now, oldest = self._clock(), self._items[0][1]
        if oldest is not None:
            self._drop(now, oldest)
        item, arrival = self._items.popleft()
        dropped, self._dropped = self._dropped, 0
        return Taken(item, now if arrival is None else arrival, dropped)

    def _drop(self, now: float, oldest: float) -> None:
        """Drop all items but the newest, if the processing is behind."""
        if now - oldest > MAX_DELAY:
            self._behind_until = now + RECOVERY
        if now < self._behind_until and len(self._items) > 1:
            self._behind_until = now + RECOVERY
            self._dropped += len(self._items) - 1
            self._items = deque([self._items[-1]])
