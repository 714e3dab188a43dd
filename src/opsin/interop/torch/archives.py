"""ZIP archives of arrays, such as NumPy's NPZ files, read without trusting the sizes that they declare."""

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

MAX_READ_BYTES = 4 * 2**20
"""Bytes of an archive's table of contents: enough for 40,000 entries."""

MAX_GROWTH = 20
"""Size of decompressed arrays as a multiple of the file's; those of networks rarely exceed 2."""


class BoundedFile:
    """A file with reads of at most `MAX_READ_BYTES`, because zipfile trusts the sizes that it finds."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file, self.size = file, size
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, count: int = -1) -> bytes:
        rest = max(0, self.size - self.tell())
        count = rest if count < 0 else min(count, rest)
        if count > MAX_READ_BYTES:
            raise ModelError("its table of contents is too large for a file of weights; it is damaged, or made to harm")
        return self.file.read(count)


@contextmanager
def as_model_error() -> Iterator[None]:
    """Convert the errors that zipfile and NumPy raise for damaged files, of any class, to `ModelError`."""
    try:
        yield
    except (ModelError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # EINVAL comes from negative offsets.
            raise
        raise ModelError(DAMAGED) from None


def open_archive(file: IO[bytes], size: int) -> ZipFile:
    """Open the archive in a file of `size` bytes."""
    with as_model_error():
        return ZipFile(BoundedFile(file, size))


def check_uncompressed(archive: ZipFile, size: int) -> None:
    """Raise `ModelError` unless no entry is compressed, so that all of them take no more memory than the file."""
    for info in archive.infolist():
        if info.compress_type != ZIP_STORED or info.flag_bits & 1:
            raise ModelError(f"its entry {quoted(info.filename)} is compressed or encrypted; PyTorch writes none such")
    if sum(info.file_size for info in archive.infolist()) > size:
        raise ModelError("its entries are larger than the file; it is damaged, or made to harm")


def numpy_arrays(archive: ZipFile, size: int) -> dict[str, StoredTensor]:
    """Return the arrays of an NPZ file by name; raise `ModelError` for Python objects."""
    if sum(info.file_size for info in archive.infolist()) > MAX_GROWTH * size:
        raise ModelError(
            f"its arrays take more than {MAX_GROWTH} times the file; if they are that empty, use numpy.savez"
        )
    return {info.filename.removesuffix(".npy"): _numpy_array(archive, info) for info in archive.infolist()}


def _numpy_array(archive: ZipFile, info: ZipInfo) -> StoredTensor:
    with as_model_error(), archive.open(info) as entry:
        shape, fortran, dtype = _header(entry)
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        what = "Python objects, which only running code could load" if dtype.hasobject else str(dtype)
        raise ModelError(f"its array {quoted(info.filename)} holds {what}; give numbers")
    count, name = math.prod(shape), dtype.newbyteorder("=").name
    if count * dtype.itemsize >= info.file_size:
        raise ModelError(DAMAGED)

    def read() -> NDArray[Any]:
        with as_model_error(), archive.open(info) as entry:
            _header(entry)
            numbers = read_numbers(entry, name, count, dtype.byteorder == ">")
            return numbers.reshape(shape, order="F" if fortran else "C")

    return StoredTensor(shape, name, read)


def _header(entry: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether the order is Fortran's, and type; only format 1.0, whose header is short, is read."""
    if npy.read_magic(entry) != (1, 0):
        raise ModelError("it has an array in a format that numpy.savez does not use for numbers")
    return npy.read_array_header_1_0(entry)
