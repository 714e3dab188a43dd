"""Encoder of the messages of ONNX files, in the wire format that `wire.py` reads.

A field is its number and type in a varint, followed by a varint, four bytes, or a length and that many bytes
(protobuf.dev/programming-guides/encoding). Field numbers are those of `onnx.proto`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from opsin.interop.onnx.wire import I32, LEN, VARINT

Attribute: TypeAlias = "int | float | str | list[int]"
"""The value of an attribute. A bool is not one: ONNX has integers for it."""

FLOAT, UINT8, INT8, INT32, INT64, BOOL, DOUBLE = 1, 2, 3, 6, 7, 9, 11
"""Values of TensorProto.DataType."""

ELEMENT_TYPES = {
    "float32": FLOAT, "uint8": UINT8, "int8": INT8, "int32": INT32, "int64": INT64, "bool": BOOL, "float64": DOUBLE,
}  # fmt: skip


Part: TypeAlias = "bytes | memoryview"
"""A part of a message. Weights are not copied until the file is complete."""


def node(op: str, name: str, inputs: Sequence[str], output: str, attributes: Mapping[str, Attribute]) -> bytes:
    """Return a NodeProto with one output; an empty input is an optional one that is left out."""
    parts = [field(1, value) for value in inputs] + [field(2, output), field(3, name), field(4, op)]
    return b"".join([*parts, *(field(5, attribute(*item)) for item in attributes.items())])


def attribute(name: str, value: Attribute) -> bytes:
    """Return an AttributeProto."""
    head = field(1, name)
    if isinstance(value, list):
        return head + b"".join(field(8, item) for item in value) + field(20, 7)
    if isinstance(value, str):
        return head + field(4, value) + field(20, 3)
    if isinstance(value, float):
        return head + field(2, value) + field(20, 1)
    return head + field(3, int(value)) + field(20, 2)


def tensor(name: str, array: NDArray[Any]) -> list[Part]:
    """Return the parts of a TensorProto of one of the types in `ELEMENT_TYPES`."""
    dims = b"".join(field(1, size) for size in array.shape)
    values: Any = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8)
    data = memoryview(values)
    return message(9, [data], dims + field(2, ELEMENT_TYPES[array.dtype.name]) + field(8, name))


def value_info(name: str, shape: Sequence[int | str], element_type: int = FLOAT) -> bytes:
    """Return a ValueInfoProto; a size that is text, such as "N", is free."""
    dims = b"".join(field(1, field(2 if isinstance(size, str) else 1, size)) for size in shape)
    return field(1, name) + field(2, field(1, field(1, element_type) + field(2, dims)))


def entry(key: str, value: str) -> bytes:
    """Return a StringStringEntryProto."""
    return field(1, key) + field(2, value)


def field(number: int, value: int | float | str | bytes) -> bytes:
    """Return one field of a message."""
    if isinstance(value, int):
        return _varint(number << 3 | VARINT) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | I32) + struct.pack("<f", value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | LEN) + _varint(len(data)) + data


def message(number: int, parts: Sequence[Part], before: bytes = b"") -> list[Part]:
    """Return the parts of a field that consists of `parts`, after other fields."""
    return [before + _varint(number << 3 | LEN) + _varint(sum(map(len, parts))), *parts]


def _varint(number: int) -> bytes:
    number %= 2**64  # negative numbers are written as their 64-bit complement
    data = bytearray()
    while number >= 0x80:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*data, number])
