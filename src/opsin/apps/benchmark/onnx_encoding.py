"""The messages of ONNX files, encoded.

The file is in the wire format of Protocol Buffers: a field is its number and type in a varint, followed by a varint,
four bytes, or a length and that many bytes (protobuf.dev/programming-guides/encoding). Field numbers are those of
`onnx.proto`.
"""

from __future__ import annotations

import struct
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Value: TypeAlias = "int | float | str | bytes | list[int]"
FLOAT, INT64 = 1, 7


def attribute(name: str, value: Value) -> bytes:
    """Return an AttributeProto."""
    head = field(1, name)
    if isinstance(value, list):
        return head + b"".join(field(8, item) for item in value) + field(20, 7)
    if isinstance(value, str):
        return head + field(4, value) + field(20, 3)
    if isinstance(value, float):
        return head + field(2, value) + field(20, 1)
    return head + field(3, value) + field(20, 2)


def tensor(name: str, array: NDArray[Any]) -> bytes:
    """Return a TensorProto."""
    element_type = INT64 if array.dtype == np.int64 else FLOAT
    dims = b"".join(field(1, size) for size in array.shape)
    return dims + field(2, element_type) + field(8, name) + field(9, array.tobytes())


def value_info(name: str, shape: tuple[int, ...]) -> bytes:
    """Return a ValueInfoProto of float numbers."""
    dims = b"".join(field(1, field(1, size)) for size in shape)
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, dims)))


def field(number: int, value: Value) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | 5) + struct.pack("<f", value)
    assert not isinstance(value, list)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    number %= 2**64  # negative numbers are written as their 64-bit complement
    data = bytearray()
    while number >= 0x80:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*data, number])
