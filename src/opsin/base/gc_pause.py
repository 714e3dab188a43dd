"""A pause of Python's cyclic garbage collector while many objects are created."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from opsin.base.concurrency import ForkLock

MAX_UNCOLLECTED_OBJECTS = 2**20
"""Objects created in pauses between two collections: with their contents, about a hundred megabytes."""
_uncollected = 0


class _Pause(ForkLock):
    """How many threads are paused, and whether the collector was enabled before the first of them."""

    __slots__ = ("count", "was_enabled")

    def __init__(self) -> None:
        self.count, self.was_enabled = 0, False
        super().__init__()

    def enter(self) -> None:
        if not self.count:
            self.was_enabled = gc.isenabled()
            gc.disable()
        self.count += 1

    def leave(self) -> None:
        self.count = max(0, self.count - 1)
        if not self.count and self.was_enabled:
            _collect_or_age()
            gc.enable()

    def _renew(self) -> None:
        """Reset the state in a forked process, in which no other thread exists."""
        super()._renew()
        if self.count:
            self.count = 0
            if self.was_enabled:
                gc.enable()


_pause = _Pause()


@contextmanager
def gc_paused() -> Iterator[None]:
    """Pause the garbage collector inside the block.

    Graphs and plans consist of hundreds of thousands of objects that stay alive. Traversing them again and again while
    they grow took a fifth of the compile time; a single traversal at the end takes a twentieth. So at the end of the
    block the new objects move to the oldest generation, which Python rarely traverses, and all objects are collected
    after every `MAX_UNCOLLECTED_OBJECTS` of them.
    """
    with _pause.lock:
        _pause.enter()
    try:
        yield
    finally:
        with _pause.lock:
            _pause.leave()


def _collect_or_age() -> None:
    """Collect all objects if many are new; otherwise move them to the oldest generation."""
    global _uncollected
    _uncollected += gc.get_count()[0]
    if _uncollected >= MAX_UNCOLLECTED_OBJECTS:
        _uncollected = 0
        gc.collect()
    elif not gc.get_freeze_count():  # objects that other code has frozen must stay frozen
        gc.freeze()
        gc.unfreeze()
