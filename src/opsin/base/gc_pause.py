"""Making many objects that refer to each other, without Python looking for garbage among them all the while."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from opsin.base.concurrency import ForkLock

MANY = 2**20
"""Objects made inside without a look: with what they hold, about a hundred megabytes."""
_unseen = 0


class _Users(ForkLock):
    """How many threads are inside, and whether Python collected garbage before."""

    __slots__ = ("before", "count")

    def __init__(self) -> None:
        self.count, self.before = 0, False
        super().__init__()

    def enter(self) -> None:
        if not self.count:
            self.before = gc.isenabled()
            gc.disable()
        self.count += 1

    def leave(self) -> None:
        self.count = max(0, self.count - 1)
        if not self.count and self.before:
            _settle()
            gc.enable()

    def _renew(self) -> None:
        """In a forked process none of the others is there any more."""
        super()._renew()
        if self.count:
            self.count = 0
            if self.before:
                gc.enable()


_state = _Users()


@contextmanager
def gc_paused() -> Iterator[None]:
    """Inside, Python does not look for objects that only refer to each other.

    Graphs and plans are hundreds of thousands of objects that stay: looking through them again and again, as they
    grow, took a fifth of the time of compiling, and once, at the end, a twentieth. So they count as old ones then,
    which Python looks at rarely, and are all looked through after each `MANY`.
    """
    with _state.lock:
        _state.enter()
    try:
        yield
    finally:
        with _state.lock:
            _state.leave()


def _settle() -> None:
    """Makes all objects old ones, or has a look at all of them."""
    global _unseen
    _unseen += gc.get_count()[0]
    if _unseen >= MANY:
        _unseen = 0
        gc.collect()
    elif not gc.get_freeze_count():  # what somebody else has frozen is to stay so
        gc.freeze()
        gc.unfreeze()
