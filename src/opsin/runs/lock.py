"""A file lock that the operating system releases when the process that holds it ends, however it ends."""

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

RETRY_SECONDS = 0.3
"""Seconds to wait for a lock: a process that only checks whether it is held (`is_held`) releases it again."""


class LockHeld(Exception):
    """Another process holds the lock."""


class Lock:
    """Holds `path`, a file that is created if needed, until it is closed. `LockHeld` if another process holds it."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        in_child(self, Lock.close)  # Otherwise a forked process would hold the lock after this one has ended.
        deadline = time.monotonic() + RETRY_SECONDS
        while not _try(self._handle):
            if time.monotonic() > deadline:
                os.close(self._handle)
                raise LockHeld
            time.sleep(0.01)

    def close(self) -> None:
        """Release the lock, if it is still held."""
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
    """Return whether a process holds `path`."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _try(handle)
    finally:
        os.close(handle)


def _try(handle: int) -> bool:
    """Take the lock; return False if another process holds it."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
