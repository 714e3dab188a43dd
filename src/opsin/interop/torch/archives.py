"""Reader of ZIP archives of arrays, such as NumPy's NPZ files, that does not trust their declared sizes."""

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
from opsin.interop.tensors import DAMAGED, StoredTensor, quote, read_numbers

MAX_READ_BYTES = 4 * 2**20
"""Limit of an archive's table of contents: enough for 40,000 entries."""

MAX_COMPRESSION_RATIO = 20
"""Limit of the decompressed size as a multiple of the file size; it rarely exceeds 2 for networks."""


class BoundedFile:
    """A file with reads of at most `MAX_READ_BYTES`, because zipfile trusts the declared sizes."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file, self.size = file, size
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, count: int = -1) -> bytes:
        remaining_bytes = max(0, self.size - self.tell())
        count = remaining_bytes if count < 0 else min(count, remaining_bytes)
        if count > MAX_READ_BYTES:
            raise ModelError("its table of contents is too large for a file of weights; it is damaged or malicious")
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
    """Open the archive in a file of `size` bytes; raise `ModelError` if it is damaged."""
    with as_model_error():
        return ZipFile(BoundedFile(file, size))


def check_uncompressed(archive: ZipFile, size: int) -> None:
    """Raise `ModelError` if an entry is compressed or encrypted, or if all entries are larger than the file."""
    for info in archive.infolist():
        if info.compress_type != ZIP_STORED or info.flag_bits & 1:
            raise ModelError(
                f"its entry {quote(info.filename)} is compressed or encrypted, which PyTorch's entries never are"
            )
    if sum(info.file_size for info in archive.infolist()) > size:
        raise ModelError("its entries are larger than the file; it is damaged or malicious")


def numpy_arrays(archive: ZipFile, size: int) -> dict[str, StoredTensor]:
    """Return the arrays of an NPZ file by name; raise `ModelError` for Python objects."""
    if sum(info.file_size for info in archive.infolist()) > MAX_COMPRESSION_RATIO * size:
        raise ModelError(
            f"its arrays take more than {MAX_COMPRESSION_RATIO} times the file size; "
            "if they are mostly zeros, save them with numpy.savez"
        )
    return {info.filename.removesuffix(".npy"): _numpy_array(archive, info) for info in archive.infolist()}


def _numpy_array(archive: ZipFile, info: ZipInfo) -> StoredTensor:
    with as_model_error(), archive.open(info) as entry:
        shape, fortran, dtype = _header(entry)
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        content = "Python objects, which cannot be loaded without running code" if dtype.hasobject else str(dtype)
        raise ModelError(f"its array {quote(info.filename)} contains {content}; give numeric arrays")
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
    """Return the shape, whether the order is Fortran's, and the type; only format 1.0 with its short header is read."""
    if npy.read_magic(entry) != (1, 0):
        raise ModelError("it has an array in a format that numpy.savez does not use for numbers")
    return npy.read_array_header_1_0(entry)
