"""A file that one process holds as long as it lives: however it ends, the system then lets go of the file."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import TracebackType

from opsin.base.concurrency import in_child

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

PATIENCE = 0.3
"""Seconds in which a process that only looks (`is_held`) will have let go again."""


class LockHeld(Exception):
    """Another process holds the lock."""


class Lock:
    """Holds `path`, making it where there is none, until it is closed; `LockHeld` where another process does."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        in_child(self, Lock.close)  # or a forked process would hold the lock when this one has ended
        until = time.monotonic() + PATIENCE
        while not _try(self._handle):
            if time.monotonic() > until:
                os.close(self._handle)
                raise LockHeld
            time.sleep(0.01)

    def close(self) -> None:
        """Lets go; once is enough."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def is_held(path: Path) -> bool:
    """Whether a living process holds `path`."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _try(handle)
    finally:
        os.close(handle)


def _try(handle: int) -> bool:
    """Takes the lock, unless another process has it."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
