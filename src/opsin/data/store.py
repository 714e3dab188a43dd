"""Decoded images on disk, so that an image is decoded once on a machine, and data may be larger than memory.

A file holds rows of pixels, then the digest of the image file that each row was decoded from, and at its end a seal
over those. It is written aside and renamed, and never changed afterwards: several processes may read, write and remove
files at once. Rows are read, not mapped, so that they count for nobody's resident memory. A row is found by its digest
alone, whatever folder or archive the image came from.
"""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
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

from opsin.base.cache import cache_folder
from opsin.data.pixels import ImageView
from opsin.data.positional import read_into

CACHE_SIZE = 5 * 10**9
"""Bytes that decoded images may take on disk, when nobody says otherwise."""

DIGEST_BYTES = 16
MAGIC = b"opsin pictures 1"
FOOTER = struct.Struct("<16sqq16s")
TEMP_PREFIX, SUFFIX = ".new-", ".pixels"
MAX_TEMP_AGE = 24 * 3600
"""Seconds after which a file that was never finished is nobody's any more."""

MAX_OTHER_STORES = 8
"""So many other data sets are searched for images that were decoded before."""

MIN_FREE_SHARE = 0.02
"""The share of a disk that is never filled."""


class StoreFile:
    """A finished file, open for reading from any thread; `ValueError` or `OSError` where it is none."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        finalize(self, self._file.close)
        try:
            size = os.fstat(self._file.fileno()).st_size
            magic, count, self.stride, seal = FOOTER.unpack(self._bytes(max(0, size - FOOTER.size), FOOTER.size))
            table = count * DIGEST_BYTES
            if magic != MAGIC or count < 0 or size != count * self.stride + table + FOOTER.size:
                raise ValueError(f"{path} is no whole store of images")
            content = self._bytes(count * self.stride, table)
            if _checksum(count, self.stride, content) != seal:
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
        """Fills contiguous `into` with the first bytes of a row, and if it holds more than that, with the next rows."""
        self._fill(into.data.cast("B"), row * self.stride)


class StoreWriter:
    """A file in the making, with a row for each of `count` images, written in any order from any thread."""

    def __init__(self, path: Path, count: int, stride: int) -> None:
        self.path, self.stride = path, stride
        self.digests = np.zeros((count, DIGEST_BYTES), np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=TEMP_PREFIX)
        self._file, self._temporary, self._lock = os.fdopen(handle, "wb", buffering=0), Path(temporary), Lock()

    def put(self, row: int, digest: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> None:
        content = np.ascontiguousarray(pixels).data.cast("B")
        with self._lock:
            self._file.seek(row * self.stride)
            _write(self._file.write, content)
        self.digests[row] = digest

    def finish(self) -> StoreFile:
        """The finished file under its name."""
        count, table = len(self.digests), self.digests.tobytes()
        self._file.seek(count * self.stride)
        foot = FOOTER.pack(MAGIC, count, self.stride, _checksum(count, self.stride, table))
        _write(self._file.write, memoryview(table + foot))
        self._file.close()
        if os.name == "nt":  # which renames no open file
            os.replace(self._temporary, self.path)
            return StoreFile(self.path)
        finished = StoreFile(self._temporary)
        os.replace(self._temporary, self.path)
        return finished

    def abandon(self) -> None:
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._temporary.unlink()


def _write(write: Callable[[memoryview], int], content: memoryview) -> None:
    """Writes everything, however little the system takes at a time."""
    while content:
        content = content[write(content) :]


def _checksum(count: int, stride: int, table: bytes) -> bytes:
    return blake2b(MAGIC + struct.pack("<qq", count, stride) + table, digest_size=16).digest()


class StoredImages(ImageView):
    """Images of `shape` in rows of a finished file; of each row the first channels, if it holds more."""

    def __init__(self, file: StoreFile, rows: NDArray[np.intp], shape: tuple[int, int, int]) -> None:
        super().__init__(len(rows), shape)
        self.file, self.rows = file, rows

    def read(self, numbers: NDArray[np.intp]) -> NDArray[np.uint8]:
        pixels, rows = np.empty((len(numbers), *self.shape[1:]), np.uint8), self.rows[numbers]
        whole = self.file.stride == prod(self.shape[1:])
        ends = np.flatnonzero(np.diff(rows) != 1) + 1 if whole else np.arange(1, len(rows))  # rows in a row at once
        for first, last in pairwise([0, *ends.tolist(), len(rows)]):
            if last > first:
                self.file.read(int(rows[first]), pixels[first:last])
        return pixels

    def take(self, numbers: NDArray[np.intp]) -> ImageView:
        return StoredImages(self.file, self.rows[numbers], (self.shape[1], self.shape[2], self.shape[3]))


class DecodedCache:
    """The stores of images decoded in one way (`key`): that of the data set called `name`, and the latest others."""

    def __init__(self, key: str, name: str) -> None:
        self.path = store_folder() / key / f"{name}{SUFFIX}"
        others = [path for path in self.path.parent.glob(f"*{SUFFIX}") if path != self.path]
        latest = sorted(others, key=_last_used, reverse=True)[:MAX_OTHER_STORES]
        self.files = [file for path in (self.path, *latest) for file in _open_store(path)]
        tables = [file.digests for file in self.files]
        self._digests = np.concatenate(tables) if tables else np.empty((0, DIGEST_BYTES), np.uint8)
        self._starts = np.cumsum([0] + [len(table) for table in tables])
        keys = _sort_keys(self._digests)
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]

    def find(self, digests: NDArray[np.uint8]) -> NDArray[np.intp]:
        """The place of each digest (N×16) on the shelf, -1 where it is not."""
        if not len(self._keys):
            return np.full(len(digests), -1, np.intp)
        at = np.minimum(np.searchsorted(self._keys, _sort_keys(digests)), len(self._keys) - 1)
        places = self._order[at]
        same = (self._digests[places] == digests).all(axis=1) & digests.any(axis=1)
        found: NDArray[np.intp] = np.where(same, places, -1)
        return found

    def read(self, place: int, into: NDArray[np.uint8]) -> None:
        file = int(np.searchsorted(self._starts, place, side="right")) - 1
        self.files[file].read(place - int(self._starts[file]), into)

    def view(self, places: NDArray[np.intp], shape: tuple[int, int, int]) -> StoredImages | None:
        """The images of these places, if one file has them all."""
        for number, file in enumerate(self.files):
            rows = places - self._starts[number]
            if ((rows >= 0) & (rows < len(file.digests))).all():
                return StoredImages(file, rows, shape)
        return None


def _last_used(path: Path) -> float:
    """When a file was used last."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _sort_keys(digests: NDArray[np.uint8]) -> NDArray[np.uint64]:
    return np.ascontiguousarray(digests[:, :8]).view(np.uint64).reshape(-1)


def _open_store(path: Path) -> Iterator[StoreFile]:
    """The file, unless there is none that can be trusted."""
    with suppress(OSError, ValueError, struct.error):
        yield StoreFile(path)


def store_folder() -> Path:
    """The folder of all decoded images, within the cache folder."""
    return cache_folder() / "pictures"


def touch(path: Path) -> None:
    """Notes that a file was used."""
    with suppress(OSError):
        os.utime(path)


def free_space(needed: int, most: int) -> bool:
    """Removes what was not used for longest, until `needed` bytes fit below `most` and on the disk; whether they do."""
    if needed > most:
        return False
    files = []
    for path in store_folder().glob("*/*"):
        with suppress(OSError):
            state = path.stat()
            if path.name.startswith(TEMP_PREFIX) and time.time() - state.st_mtime > MAX_TEMP_AGE:
                path.unlink()
            else:
                files.append((state.st_mtime_ns, state.st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total + needed <= most:
            break
        if not path.name.startswith(TEMP_PREFIX):
            with suppress(OSError):
                path.unlink()
                total -= size
    store_folder().mkdir(parents=True, exist_ok=True)
    disk = shutil.disk_usage(store_folder())
    return total + needed <= most and needed + MIN_FREE_SHARE * disk.total <= disk.free
