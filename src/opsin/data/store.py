"""Decoded images on disk: each image is decoded once per machine, and data may be larger than memory.

A store file holds rows of pixels, then the digest of the image file of each row, and finally a checksum of the digests.
It is written under a temporary name, renamed, and never changed afterwards, so several processes may read, write and
remove files at once. Rows are read with ordinary I/O rather than memory-mapped, so they do not count towards the
resident memory of the process. A row is found by the digest alone, whatever folder or archive the image came from.
"""

from __future__ import annotations

import os
import shutil
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import blake2b
from itertools import pairwise
from math import prod
from pathlib import Path
from threading import Lock
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from opsin.base.atomic import PREFIX, PRIVATE, AtomicFile
from opsin.base.cache import cache_folder
from opsin.data.pixels import ImageView
from opsin.data.positional import read_into

CACHE_SIZE = 5 * 10**9
"""Default limit of the bytes of decoded images on disk."""

DIGEST_BYTES = 16
MAGIC = b"opsin pictures 1"
FOOTER = struct.Struct("<16sqq16s")
SUFFIX = ".pixels"
MAX_TEMP_AGE = 24 * 3600
"""Seconds after which an unfinished file is considered abandoned."""

MAX_OTHER_STORES = 8
"""Other data sets that are searched for images decoded before."""

MIN_FREE_SHARE = 0.02
"""Share of the disk that is always left free."""


class StoreFile:
    """A finished store file, open for reading from any thread. Raise `ValueError` or `OSError` for any other file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        finalize(self, self._file.close)
        try:
            size = os.fstat(self._file.fileno()).st_size
            magic, count, self.stride, checksum = FOOTER.unpack(self._bytes(max(0, size - FOOTER.size), FOOTER.size))
            table = count * DIGEST_BYTES
            if magic != MAGIC or count < 0 or size != count * self.stride + table + FOOTER.size:
                raise ValueError(f"{path} is not a complete store of images")
            content = self._bytes(count * self.stride, table)
            if _checksum(count, self.stride, content) != checksum:
                raise ValueError(f"{path} is damaged")
        except BaseException:
            self._file.close()
            raise
        self.digests = np.frombuffer(content, np.uint8).reshape(count, DIGEST_BYTES)

    def _bytes(self, offset: int, count: int) -> bytes:
        content = bytearray(count)
        self._fill(memoryview(content), offset)
        return bytes(content)

    def _fill(self, target: memoryview, offset: int) -> None:
        if read_into(self._file.fileno(), target, offset) < len(target):
            raise OSError("the store of decoded images was cut short")

    def read(self, row: int, into: NDArray[np.uint8]) -> None:
        """Fill the contiguous array `into` with the first bytes of a row, and if it is larger, with the next rows."""
        self._fill(into.data.cast("B"), row * self.stride)


class StoreWriter:
    """A new store file with a row for each of `count` images, written in any order from any thread."""

    def __init__(self, path: Path, count: int, stride: int) -> None:
        self.path, self.stride = path, stride
        self.digests = np.zeros((count, DIGEST_BYTES), np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._new = AtomicFile(path, durable=False, mode=PRIVATE, buffering=0)
        self._file, self._lock = self._new.file, Lock()

    def put(self, row: int, digest: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> None:
        content = np.ascontiguousarray(pixels).data.cast("B")
        with self._lock:
            self._file.seek(row * self.stride)
            _write(self._file.write, content)
        self.digests[row] = digest

    def finish(self) -> StoreFile:
        """Complete the file, give it its final name and return it opened."""
        count, table = len(self.digests), self.digests.tobytes()
        self._file.seek(count * self.stride)
        foot = FOOTER.pack(MAGIC, count, self.stride, _checksum(count, self.stride, table))
        _write(self._file.write, memoryview(table + foot))
        if os.name == "nt":  # Windows cannot rename open files
            self._new.commit()
            return StoreFile(self.path)
        store_file = StoreFile(self._new.temporary)
        self._new.commit()
        return store_file

    def abandon(self) -> None:
        self._new.discard()


def _write(write: Callable[[memoryview], int], content: memoryview) -> None:
    """Write all bytes, in several calls if necessary."""
    while content:
        content = content[write(content) :]


def _checksum(count: int, stride: int, table: bytes) -> bytes:
    return blake2b(MAGIC + struct.pack("<qq", count, stride) + table, digest_size=16).digest()


class StoredImages(ImageView):
    """Images of `shape` in rows of a store file; if a row holds more channels, the first ones are used."""

    def __init__(self, file: StoreFile, rows: NDArray[np.intp], shape: tuple[int, int, int]) -> None:
        super().__init__(len(rows), shape)
        self.file, self.rows = file, rows

    def read(self, indices: NDArray[np.intp]) -> NDArray[np.uint8]:
        pixels = np.empty((len(indices), *self.shape[1:]), np.uint8)
        rows = self.rows[indices]
        complete = self.file.stride == prod(self.shape[1:])
        ends = (
            np.flatnonzero(np.diff(rows) != 1) + 1 if complete else np.arange(1, len(rows))
        )  # consecutive rows at once
        for first, last in pairwise([0, *ends.tolist(), len(rows)]):
            if last > first:
                self.file.read(int(rows[first]), pixels[first:last])
        return pixels

    def take(self, indices: NDArray[np.intp]) -> ImageView:
        return StoredImages(self.file, self.rows[indices], (self.shape[1], self.shape[2], self.shape[3]))


class DecodedCache:
    """All stores with the same decode settings (`key`): that of the data set `name`, and the most recent others."""

    def __init__(self, key: str, name: str) -> None:
        self.path = store_folder() / key / f"{name}{SUFFIX}"
        other_stores = [path for path in self.path.parent.glob(f"*{SUFFIX}") if path != self.path]
        recent_stores = sorted(other_stores, key=_last_used, reverse=True)[:MAX_OTHER_STORES]
        self.files = [file for path in (self.path, *recent_stores) for file in _open_store(path)]
        tables = [file.digests for file in self.files]
        self._digests = np.concatenate(tables) if tables else np.empty((0, DIGEST_BYTES), np.uint8)
        self._starts = np.cumsum([0] + [len(table) for table in tables])
        keys = _sort_keys(self._digests)
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]

    def find(self, digests: NDArray[np.uint8]) -> NDArray[np.intp]:
        """Return the position of each digest (N×16), counted over all stores; -1 if it is not stored."""
        if not len(self._keys):
            return np.full(len(digests), -1, np.intp)
        at = np.minimum(np.searchsorted(self._keys, _sort_keys(digests)), len(self._keys) - 1)
        positions = self._order[at]
        is_intact = (self._digests[positions] == digests).all(axis=1) & digests.any(axis=1)
        result: NDArray[np.intp] = np.where(is_intact, positions, -1)
        return result

    def read(self, position: int, into: NDArray[np.uint8]) -> None:
        """Fill the array `into` with the image at this position."""
        file = int(np.searchsorted(self._starts, position, side="right")) - 1
        self.files[file].read(position - int(self._starts[file]), into)

    def view(self, positions: NDArray[np.intp], shape: tuple[int, int, int]) -> StoredImages | None:
        """Return the images at these positions, or None unless one store has them all."""
        for number, file in enumerate(self.files):
            rows = positions - self._starts[number]
            if ((rows >= 0) & (rows < len(file.digests))).all():
                return StoredImages(file, rows, shape)
        return None


def _last_used(path: Path) -> float:
    """Return the time at which a file was last used."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _sort_keys(digests: NDArray[np.uint8]) -> NDArray[np.uint64]:
    return np.ascontiguousarray(digests[:, :8]).view(np.uint64).reshape(-1)


def _open_store(path: Path) -> Iterator[StoreFile]:
    """Yield the store at `path`, or nothing if it is missing or damaged."""
    with suppress(OSError, ValueError, struct.error):
        yield StoreFile(path)


def store_folder() -> Path:
    """Return the folder of all decoded images in the cache folder."""
    return cache_folder() / "pictures"


def touch(path: Path) -> None:
    """Mark a file as used now."""
    with suppress(OSError):
        os.utime(path)


def free_space(required_bytes: int, limit: int) -> bool:
    """Remove the least recently used files until `required_bytes` fit into `limit` and on the disk.

    Return whether they do.
    """
    if required_bytes > limit:
        return False
    files = []
    for path in store_folder().glob("*/*"):
        with suppress(OSError):
            state = path.stat()
            if path.name.startswith(PREFIX) and time.time() - state.st_mtime > MAX_TEMP_AGE:
                path.unlink()
            else:
                files.append((state.st_mtime_ns, state.st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total + required_bytes <= limit:
            break
        if not path.name.startswith(PREFIX):
            with suppress(OSError):
                path.unlink()
                total -= size
    store_folder().mkdir(parents=True, exist_ok=True)
    disk = shutil.disk_usage(store_folder())
    return total + required_bytes <= limit and required_bytes + MIN_FREE_SHARE * disk.total <= disk.free
