"""Read open files at given offsets, from any thread and any forked process.

Parent and child share the position of a file that was opened before a fork, so a seek in one would disturb the other.
Therefore nothing here seeks if the system has positional reads (pread).
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from opsin.base.concurrency import ForkLock

_seeking = ForkLock()
"""For systems without pread. They have no fork either."""


def read_into(handle: int, target: memoryview, offset: int) -> int:
    """Fill `target` from `offset` until its end or that of the file, and return the number of bytes read."""
    byte_count = 0
    while byte_count < len(target):
        count = _read_once(handle, target[byte_count:], offset + byte_count)
        if not count:
            break
        byte_count += count
    return byte_count


def _read_once(handle: int, target: memoryview, offset: int) -> int:
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
    """A file opened for reading. Its position is private: processes and threads that share the file do not move it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        count = read_into(self._file.fileno(), memoryview(target).cast("B"), self._position)
        self._position += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position}.get(whence)
        if start is None:
            start = os.fstat(self._file.fileno()).st_size
        if start + offset < 0:
            raise OSError(22, "the position would be before the beginning of the file")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        self._file.close()
        super().close()
