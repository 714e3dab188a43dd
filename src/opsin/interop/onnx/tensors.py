"""Arrays of an ONNX file: in the file itself, or in files next to it. Sizes are checked before anything is read."""

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
from opsin.interop.onnx.wire import Damaged, shown
from opsin.ir import show

BOOL, FLOAT16, BFLOAT16 = 9, 10, 16

REAL = (1, FLOAT16, 11, BFLOAT16)
"""Element types of floats."""

BYTE = 2

KIND_NAMES = {
    2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", BOOL: "bool", 12: "uint32",
    13: "uint64", 14: "complex64", 15: "complex128",
}  # fmt: skip
"""The names of other element types."""

KINDS: dict[int, str] = {
    1: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", BOOL: "u1", FLOAT16: "<f2", 11: "<f8",
    12: "<u4", 13: "<u8", BFLOAT16: "<u2",
}  # fmt: skip
"""TensorProto.DataType → the elements in memory; bfloat16 as its bits."""

PACKED: dict[int, tuple[int, str]] = {
    **dict.fromkeys((2, 3, 4, 5, 6, BOOL, FLOAT16, BFLOAT16), (5, "<i8")),
    1: (4, "<f4"), 7: (7, "<i8"), 11: (10, "<f8"), 12: (11, "<i8"), 13: (11, "<i8"),
}  # fmt: skip
"""The field that holds the elements of a type one by one, and the type in which it was read."""


def open_file(path: Path) -> memoryview:
    """Map the file `path` into memory; raise `ModelError` if it cannot be read."""
    try:
        if path.is_dir():
            raise ModelError(f"{path} is a folder, not a model file")
        if not path.is_file() and path.exists():  # Reading a pipe would wait forever.
            raise ModelError(f"{path} is no ordinary file")
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise ModelError(f"{path} is empty; copy it again or export it again")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except FileNotFoundError:
        raise ModelError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


class Arrays:
    """Reads the arrays of one ONNX file, and external ones from files in its own folder only."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.size = size
        """Bytes of the model file and of the external files that were opened."""
        self._files: dict[str, memoryview] = {}
        self._unread: dict[str, int] = {}

    def read(self, record: TensorRecord) -> NDArray[Any]:
        """Return the array, float16 and bfloat16 as float32; raise `ModelError` if its size does not fit its shape."""
        if record.kind not in KINDS:
            raise ModelError(
                f"has a tensor {shown(record.name)} of element kind {record.kind}, which Opsin does not read"
            )
        count, kind = math.prod(record.dims), np.dtype(KINDS[record.kind])
        if record.external is not None:
            data: Any = self._external(record, count * kind.itemsize)
        elif record.raw is not None:
            data = record.raw
        else:
            data, kind = self._packed(record)
        if len(data) != count * kind.itemsize:
            raise Damaged(
                f"the tensor {shown(record.name)}, {show(record.dims)}, has {len(data):,} bytes, "
                f"not {count * kind.itemsize:,}"
            )
        return _values(np.frombuffer(data, kind), record.kind).reshape(record.dims)

    def _packed(self, record: TensorRecord) -> tuple[bytearray, np.dtype[Any]]:
        field, kind = PACKED[record.kind]
        return record.packed.get(field, bytearray()), np.dtype(kind)

    def _external(self, record: TensorRecord, size: int) -> memoryview:
        """Return the bytes of a tensor in another file."""
        external = record.external or {}
        location = external.get("location", "")
        try:
            offset, length = int(external.get("offset", 0)), int(external.get("length", size))
        except ValueError:
            raise Damaged(f"the place of the tensor {shown(record.name)} in {shown(location)}") from None
        if location not in self._files:
            self._files[location] = self._open(location)
            self._unread[location] = len(self._files[location])
            self.size += len(self._files[location])
        file = self._files[location]
        if length != size or offset < 0 or offset + length > len(file):
            raise Damaged(
                f"the tensor {shown(record.name)} needs {size:,} bytes, and was given {length:,} from byte {offset:,} "
                f"on of {shown(location)}, which has {len(file):,}"
            )
        self._unread[location] -= length
        if self._unread[location] < 0:  # Otherwise a small file could describe any number of large tensors.
            raise ModelError(f"has tensors that overlap in {shown(location)}, which Opsin does not read")
        return file[offset : offset + length]

    def _open(self, location: str) -> memoryview:
        try:
            path = self._inside(location)
            data = open_file(path)
            if kind := absent(bytes(data[:HEAD])):
                raise ModelError(f"{path} is {kind.what}; {kind.advice}")
            return data
        except ModelError as error:
            raise ModelError(f"keeps weights elsewhere: {error}") from None

    def _inside(self, location: str) -> Path:
        """Return the path of the file `location`; raise `ModelError` if it is outside the model's folder."""
        parts = {*PurePosixPath(location).parts, *PureWindowsPath(location).parts}
        outside = ".." in parts or PurePosixPath(location).is_absolute() or PureWindowsPath(location).anchor
        folder = path = self.folder.resolve()
        if location and "\0" not in location and not outside:
            with suppress(OSError, RuntimeError):  # For example, a link to itself.
                path = (folder / location).resolve()
        if path == folder or not path.is_relative_to(folder):
            raise ModelError(
                f"{shown(location)} is outside of the model's own folder, where Opsin reads nothing; "
                "put the file next to the model, and name it so in there"
            )
        return path


def _values(array: NDArray[Any], kind: int) -> NDArray[Any]:
    """Return the values of the elements, in native byte order."""
    if kind == BOOL:
        return np.asarray(array != 0)
    if kind == BFLOAT16:
        return (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    if kind == FLOAT16:
        bits = array if array.dtype == np.float16 else array.astype(np.uint16).view(np.float16)
        return bits.astype(np.float32)
    native = np.dtype(KINDS[kind]).newbyteorder("=")
    return array if array.dtype == native else array.astype(native)
