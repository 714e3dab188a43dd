"""ZIP archives of arrays, read without believing what they say of themselves. NumPy's NPZ files are such."""

from __future__ import annotations

import errno
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from opsin.base.errors import ModelError
from opsin.interop.tensors import DAMAGED, StoredTensor, quoted, read_numbers

MOST_AT_ONCE = 4 * 2**20
"""Bytes of an archive's table of contents: enough for 40,000 entries."""

MOST_GROWTH = 20
"""Compressed numbers may take so many times the file's size; those of networks hardly take twice."""


class Careful:
    """A file of which no more is read at once than `MOST_AT_ONCE`: zipfile believes the sizes that it finds."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file, self.size = file, size
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, count: int = -1) -> bytes:
        rest = max(0, self.size - self.tell())
        count = rest if count < 0 else min(count, rest)
        if count > MOST_AT_ONCE:
            raise ModelError("its table of contents is too large for a file of weights; it is damaged, or made to harm")
        return self.file.read(count)


@contextmanager
def careful() -> Iterator[None]:
    """On damaged files zipfile and NumPy raise anything at all: all of it is `ModelError`."""
    try:
        yield
    except (ModelError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # which comes of places before the beginning
            raise
        raise ModelError(DAMAGED) from None


def open_archive(file: IO[bytes], size: int) -> ZipFile:
    """The archive in a file of `size` bytes."""
    with careful():
        return ZipFile(Careful(file, size))


def check_uncompressed(archive: ZipFile, size: int) -> None:
    """`ModelError` unless the entries are as they are in the file, so that all of them take no more memory than it."""
    for info in archive.infolist():
        if info.compress_type != ZIP_STORED or info.flag_bits & 1:
            raise ModelError(f"its entry {quoted(info.filename)} is compressed or encrypted; PyTorch writes none such")
    if sum(info.file_size for info in archive.infolist()) > size:
        raise ModelError("its entries are larger than the file; it is damaged, or made to harm")


def numpy_arrays(archive: ZipFile, size: int) -> dict[str, StoredTensor]:
    """The arrays of an NPZ file by name; Python objects are refused."""
    if sum(info.file_size for info in archive.infolist()) > MOST_GROWTH * size:
        raise ModelError(
            f"its arrays take more than {MOST_GROWTH} times the file; if they are that empty, use numpy.savez"
        )
    return {info.filename.removesuffix(".npy"): _numpy_array(archive, info) for info in archive.infolist()}


def _numpy_array(archive: ZipFile, info: ZipInfo) -> StoredTensor:
    with careful(), archive.open(info) as entry:
        shape, fortran, dtype = _header(entry)
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        what = "Python objects, which only running code could load" if dtype.hasobject else str(dtype)
        raise ModelError(f"its array {quoted(info.filename)} holds {what}; give numbers")
    count, name = math.prod(shape), dtype.newbyteorder("=").name
    if count * dtype.itemsize >= info.file_size:
        raise ModelError(DAMAGED)

    def read() -> NDArray[Any]:
        with careful(), archive.open(info) as entry:
            _header(entry)
            numbers = read_numbers(entry, name, count, dtype.byteorder == ">")
            return numbers.reshape(shape, order="F" if fortran else "C")

    return StoredTensor(shape, name, read)


def _header(entry: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns come first, and type; only format 1.0, whose header is short."""
    if npy.read_magic(entry) != (1, 0):
        raise ModelError("it has an array in a format that numpy.savez does not use for numbers")
    return npy.read_array_header_1_0(entry)
