"""Reader of the tensors of an ONNX file, stored inside it or in external files.

Sizes are checked before any data is read.
"""

from __future__ import annotations

import math
import mmap
import os
from contextlib import suppress
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import ModelError
from opsin.base.file_types import HEAD, absent
from opsin.interop.onnx.messages import TensorRecord
from opsin.interop.onnx.wire import DamagedFileError, quote_name
from opsin.ir import show

UINT8, BOOL, FLOAT16, BFLOAT16 = 2, 9, 10, 16
"""Values of TensorProto.DataType."""

FLOAT_TYPES = (1, FLOAT16, 11, BFLOAT16)
"""The floating-point types: FLOAT, FLOAT16, DOUBLE and BFLOAT16."""

TYPE_NAMES = {
    UINT8: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", BOOL: "bool", 12: "uint32",
    13: "uint64", 14: "complex64", 15: "complex128",
}  # fmt: skip
"""Names of the other types."""

NUMPY_TYPES: dict[int, str] = {
    1: "<f4", UINT8: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", BOOL: "u1", FLOAT16: "<f2", 11: "<f8",
    12: "<u4", 13: "<u8", BFLOAT16: "<u2",
}  # fmt: skip
"""NumPy type of the elements in `raw_data`, by TensorProto.DataType; bfloat16 is read as its bits."""

TYPED_DATA_FIELDS: dict[int, tuple[int, str]] = {
    **dict.fromkeys((UINT8, 3, 4, 5, 6, BOOL, FLOAT16, BFLOAT16), (5, "<i8")),
    1: (4, "<f4"), 7: (7, "<i8"), 11: (10, "<f8"), 12: (11, "<i8"), 13: (11, "<i8"),
}  # fmt: skip
"""Number of the field with the elements (float_data, int32_data, …), and its NumPy type, by TensorProto.DataType."""


def open_file(path: Path) -> memoryview:
    """Return the content of the file `path`, mapped into memory; raise `ModelError` if it cannot be read."""
    try:
        if path.is_dir():
            raise ModelError(f"{path} is a folder, not a model file")
        if not path.is_file() and path.exists():  # Reading a pipe could block forever.
            raise ModelError(f"{path} is not a regular file")
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise ModelError(f"{path} is empty; copy it again or export it again")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except FileNotFoundError:
        raise ModelError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


class TensorLoader:
    """Reader of the tensors of one ONNX file; it opens external files only in the folder of the model."""

    def __init__(self, folder: Path, file_bytes: int) -> None:
        self.folder = folder
        self.file_bytes = file_bytes
        """Total size of the model file and of the external files that have been opened."""
        self._files: dict[str, memoryview] = {}
        self._unused_bytes: dict[str, int] = {}

    def read(self, record: TensorRecord) -> NDArray[Any]:
        """Return the array of a tensor, in native byte order; float16 and bfloat16 become float32.

        Raise `ModelError` if its type is unsupported, or if its data does not match its shape.
        """
        if record.data_type not in NUMPY_TYPES:
            raise ModelError(
                f"has a tensor {quote_name(record.name)} of element type {record.data_type}, which Opsin does not read"
            )
        count, dtype = math.prod(record.dims), np.dtype(NUMPY_TYPES[record.data_type])
        if record.external_data is not None:
            data: Any = self._external_bytes(record, count * dtype.itemsize)
        elif record.raw_data is not None:
            data = record.raw_data
        else:
            data, dtype = self._typed_data(record)
        if len(data) != count * dtype.itemsize:
            raise DamagedFileError(
                f"the tensor {quote_name(record.name)}, {show(record.dims)}, has {len(data):,} bytes, "
                f"not {count * dtype.itemsize:,}"
            )
        return _decode(np.frombuffer(data, dtype), record.data_type).reshape(record.dims)

    def _typed_data(self, record: TensorRecord) -> tuple[bytearray, np.dtype[Any]]:
        field, dtype = TYPED_DATA_FIELDS[record.data_type]
        return record.typed_data.get(field, bytearray()), np.dtype(dtype)

    def _external_bytes(self, record: TensorRecord, size: int) -> memoryview:
        """Return the bytes of a tensor in an external file; `size` is the expected number of bytes."""
        entries = record.external_data or {}
        location = entries.get("location", "")
        try:
            offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
        except ValueError:
            raise DamagedFileError(
                f"an invalid offset or length of the tensor {quote_name(record.name)} in {quote_name(location)}"
            ) from None
        if location not in self._files:
            self._files[location] = self._open(location)
            self._unused_bytes[location] = len(self._files[location])
            self.file_bytes += len(self._files[location])
        file = self._files[location]
        if length != size or offset < 0 or offset + length > len(file):
            raise DamagedFileError(
                f"the tensor {quote_name(record.name)} needs {size:,} bytes, but "
                f"has {length:,} at byte {offset:,} of {quote_name(location)}, which has {len(file):,}"
            )
        self._unused_bytes[location] -= length
        if self._unused_bytes[location] < 0:  # Otherwise, a small file could declare any number of large tensors.
            raise ModelError(f"has tensors that overlap in {quote_name(location)}, which Opsin does not read")
        return file[offset : offset + length]

    def _open(self, location: str) -> memoryview:
        try:
            path = self._resolve(location)
            data = open_file(path)
            if kind := absent(bytes(data[:HEAD])):
                raise ModelError(f"{path} is {kind.what}; {kind.advice}")
            return data
        except ModelError as error:
            raise ModelError(f"has weights in other files: {error}") from None

    def _resolve(self, location: str) -> Path:
        """Return the path of the file `location`; raise `ModelError` if it is outside the model's folder."""
        parts = {*PurePosixPath(location).parts, *PureWindowsPath(location).parts}
        is_outside = ".." in parts or PurePosixPath(location).is_absolute() or PureWindowsPath(location).anchor
        folder = path = self.folder.resolve()
        if location and "\0" not in location and not is_outside:
            with suppress(OSError, RuntimeError):  # For example, a link to itself.
                path = (folder / location).resolve()
        if path == folder or not path.is_relative_to(folder):
            raise ModelError(
                f"{quote_name(location)} is outside the folder of the model, where Opsin reads no files; "
                "move the file next to the model, and change its location in the model to its name"
            )
        return path


def _decode(array: NDArray[Any], data_type: int) -> NDArray[Any]:
    """Return the values of elements of the type `data_type`, in native byte order."""
    if data_type == BOOL:
        return np.asarray(array != 0)
    if data_type == BFLOAT16:
        return (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    if data_type == FLOAT16:
        bits = array if array.dtype == np.float16 else array.astype(np.uint16).view(np.float16)
        return bits.astype(np.float32)
    native = np.dtype(NUMPY_TYPES[data_type]).newbyteorder("=")
    return array if array.dtype == native else array.astype(native)
