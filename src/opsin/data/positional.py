"""Reading open files at given places, from any thread and any forked process.

A file that was opened before a fork has one position for parent and child: who seeks moves the other's, too. So nothing
here seeks where the system can read at a place.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from opsin.base.concurrency import ForkLock

_seeking = ForkLock()
"""For systems that have to seek; they have no fork either."""


def read_into(handle: int, target: memoryview, offset: int) -> int:
    """Fills `target` (bytes) from `offset` on, as far as the file goes; the number of bytes read."""
    done = 0
    while done < len(target):
        got = _some(handle, target[done:], offset + done)
        if not got:
            break
        done += got
    return done


def _some(handle: int, target: memoryview, offset: int) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(handle, [target], offset)
    if hasattr(os, "pread"):
        data = os.pread(handle, len(target), offset)
    else:
        with _seeking.lock:
            os.lseek(handle, offset, os.SEEK_SET)
            data = os.read(handle, len(target))
    target[: len(data)] = data
    return len(data)


class PositionalFile(io.RawIOBase):
    """A file to read, whose position is this object's own."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        got = read_into(self._file.fileno(), memoryview(target).cast("B"), self._at)
        self._at += got
        return got

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence)
        if start is None:
            start = os.fstat(self._file.fileno()).st_size
        if start + offset < 0:
            raise OSError(22, "there is nothing before a file's beginning")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        self._file.close()
        super().close()
