"""Reader of the Protocol Buffers wire format.

A message is a sequence of fields (protobuf.dev/programming-guides/encoding). Each field has a key, which holds its
number and its wire type, and a value: an integer, four or eight bytes, or a length and that many bytes. The reader
copies nothing, checks every length against the remaining data, and limits the number of fields.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import ModelError

MAX_FIELDS = 5_000_000
"""Limit of the fields in one file. Networks have about ten thousand; each weight is one field."""

VARINT, I64, LEN, I32 = 0, 1, 2, 5
"""Wire types, by their names in the specification."""

FieldValue: TypeAlias = "int | memoryview"
"""An integer below 2^64, or bytes."""


class DamagedFileError(ModelError):
    """The content of the file is invalid. The message is written to follow the file's name."""

    def __init__(self, fault: str) -> None:
        super().__init__(f"is damaged or cut short ({fault}); copy it again or export it again")


class WireReader:
    """Splits messages into fields, at most `MAX_FIELDS` in total."""

    def __init__(self) -> None:
        self.remaining_fields = MAX_FIELDS

    def fields(self, message: FieldValue) -> Iterator[tuple[int, FieldValue]]:
        """Yield the number and the value of each field of `message`.

        Raise `DamagedFileError` if the message is malformed, and `ModelError` after `MAX_FIELDS` fields.
        """
        data = as_bytes(message)
        offset = 0
        while offset < len(data):
            self.remaining_fields -= 1
            if self.remaining_fields < 0:
                raise ModelError(f"has more than {MAX_FIELDS:,} fields, which no network needs")
            key, offset = read_varint(data, offset)
            wire_type = key & 7
            if wire_type == VARINT:
                value, offset = read_varint(data, offset)
                yield key >> 3, value
                continue
            if wire_type == LEN:
                length, offset = read_varint(data, offset)
            elif wire_type in (I32, I64):
                length = 4 if wire_type == I32 else 8
            else:
                raise DamagedFileError(f"a field of the unknown wire type {wire_type}")
            if length > len(data) - offset:
                raise DamagedFileError(f"a field of {length:,} bytes where {len(data) - offset:,} are left")
            yield key >> 3, data[offset : offset + length]
            offset += length


def read_varint(data: memoryview, offset: int) -> tuple[int, int]:
    """Return the integer at `offset`, and the offset after it.

    Each byte holds seven bits, the least significant first; the top bit says that another byte follows.
    """
    number = 0
    for index, byte in enumerate(data[offset : offset + 10]):
        number |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return number & (2**64 - 1), offset + index + 1
    raise DamagedFileError("an unterminated integer")


def as_bytes(value: FieldValue) -> memoryview:
    """Return `value`; raise `DamagedFileError` if it is not bytes."""
    if isinstance(value, int):
        raise DamagedFileError("an integer where a string, a message or an array belongs")
    return value


def as_text(value: FieldValue) -> str:
    """Return `value` decoded as UTF-8; raise `DamagedFileError` if it is not text."""
    try:
        return str(as_bytes(value), "utf-8")
    except UnicodeDecodeError:
        raise DamagedFileError("a name that is not valid UTF-8") from None


def as_int(value: FieldValue) -> int:
    """Return `value` as a signed 64-bit integer; raise `DamagedFileError` if it is bytes."""
    if not isinstance(value, int):
        raise DamagedFileError("bytes where an integer belongs")
    return value - 2**64 if value >= 2**63 else value


def as_float(value: FieldValue) -> float:
    """Return the four bytes `value` as a float; raise `DamagedFileError` for any other value."""
    data = as_bytes(value)
    if len(data) != 4:
        raise DamagedFileError("bytes where a float belongs")
    (number,) = struct.unpack("<f", data)
    return float(number)


def as_ints(value: FieldValue) -> NDArray[np.int64]:
    """Return the integers of a repeated field, int64: a single integer, or a packed sequence."""
    if isinstance(value, int):
        return np.array([as_int(value)], np.int64)
    octets = np.frombuffer(value, np.uint8)
    ends = np.flatnonzero(octets < 0x80)
    if len(octets) and (len(ends) == 0 or ends[-1] != len(octets) - 1):
        raise DamagedFileError("an unterminated integer")
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    numbers = np.zeros(len(ends), np.uint64)
    lengths = ends - starts + 1
    if len(ends) and lengths.max() > 10:
        raise DamagedFileError("an unterminated integer")
    for index in range(int(lengths.max(initial=0))):
        has_byte = lengths > index
        bits = (octets[starts[has_byte] + index] & 0x7F).astype(np.uint64)
        numbers[has_byte] |= bits << np.uint64(7 * index)
    return numbers.view(np.int64)


def as_floats(value: FieldValue) -> NDArray[Any]:
    """Return the floats of a repeated field, float32: a single one, or a packed sequence."""
    data = as_bytes(value)
    if len(data) % 4:
        raise DamagedFileError("bytes where floats belong")
    return np.frombuffer(data, "<f4")


def quote_name(name: str) -> str:
    """Return a name from the file for a message: in quotes, at most 80 characters, control characters escaped."""
    return repr(name if len(name) <= 80 else f"{name[:77]}…")
