"""A file lock that the operating system releases when the process that holds it ends, however it ends."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
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
    """Holds `path`, a file that is created if needed, until it is closed. `LockHeld` if another process holds it.

    The file is removed at the end if it is `temporary`.
    """

    def __init__(self, path: Path, *, temporary: bool = False) -> None:
        self._path, self._temporary = path, temporary
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            if _try(self._handle) and _is_file(self._handle, path):
                break
            self._release()
            if time.monotonic() > deadline:
                raise LockHeld
            time.sleep(0.01)
        in_child(self, Lock._release)  # Otherwise a forked process would hold the lock after this one has ended.

    def close(self) -> None:
        """Release the lock, if it is still held."""
        if self._temporary and self._handle >= 0:
            with suppress(OSError):  # Windows does not remove a file that is open.
                os.unlink(self._path)
        self._release()

    def _release(self) -> None:
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


def _is_file(handle: int, path: Path) -> bool:
    """Return whether `path` is still the open file: the process that held it before may have removed it."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except OSError:
        return False


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
