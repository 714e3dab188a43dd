"""Protocol Buffers' wire format, read in place.

A message is a sequence of fields: a key, which holds a number and a wire type, and a value that is an integer, four or
eight bytes, or bytes with their length before them (protobuf.dev/programming-guides/encoding). Nothing is copied, every
length is checked against the rest of the data, and the work is bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import ModelError

MAX_FIELDS = 5_000_000
"""Fields that are read in total. Networks have some ten thousand; each of their weights is one field."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

Value: TypeAlias = "int | memoryview"
"""An integer below 2^64, or bytes."""


class Damaged(ModelError):
    """The file has invalid content; the message follows the file's name."""

    def __init__(self, what: str) -> None:
        super().__init__(f"is damaged or cut short ({what}); copy it again or export it again")


class Wire:
    """Splits messages into fields, at most `MAX_FIELDS` in total."""

    def __init__(self) -> None:
        self.left = MAX_FIELDS

    def fields(self, message: Value) -> Iterator[tuple[int, Value]]:
        """Yield the number and the value of each field of `message`."""
        data = octets(message)
        offset = 0
        while offset < len(data):
            self.left -= 1
            if self.left < 0:
                raise ModelError(f"has more than {MAX_FIELDS:,} fields, which no network needs")
            key, offset = varint(data, offset)
            kind = key & 7
            if kind == VARINT:
                value, offset = varint(data, offset)
                yield key >> 3, value
                continue
            if kind == BYTES:
                length, offset = varint(data, offset)
            elif kind in (FIXED32, FIXED64):
                length = 4 if kind == FIXED32 else 8
            else:
                raise Damaged(f"a field of the unknown kind {kind}")
            if length > len(data) - offset:
                raise Damaged(f"a field of {length:,} bytes where {len(data) - offset:,} are left")
            yield key >> 3, data[offset : offset + length]
            offset += length


def varint(data: memoryview, offset: int) -> tuple[int, int]:
    """Return the integer at `offset`, seven bits in each byte and the lowest first, and the offset after it."""
    number = 0
    for position, byte in enumerate(data[offset : offset + 10]):
        number |= (byte & 0x7F) << 7 * position
        if byte < 0x80:
            return number & (2**64 - 1), offset + position + 1
    raise Damaged("a number without an end")


def octets(value: Value) -> memoryview:
    """Return `value` if it is bytes."""
    if isinstance(value, int):
        raise Damaged("a number where a text, a message or an array belongs")
    return value


def text(value: Value) -> str:
    """Return `value`, decoded as UTF-8."""
    try:
        return str(octets(value), "utf-8")
    except UnicodeDecodeError:
        raise Damaged("a name that is no text") from None


def whole(value: Value) -> int:
    """Return `value` as a signed 64-bit integer."""
    if not isinstance(value, int):
        raise Damaged("bytes where a number belongs")
    return value - 2**64 if value >= 2**63 else value


def real(value: Value) -> float:
    """Return `value`, four bytes, as a float."""
    data = octets(value)
    if len(data) != 4:
        raise Damaged("bytes where a real number belongs")
    (number,) = struct.unpack("<f", data)
    return float(number)


def wholes(value: Value) -> NDArray[np.int64]:
    """Return one integer, or a packed sequence of them."""
    if isinstance(value, int):
        return np.array([whole(value)], np.int64)
    octet = np.frombuffer(value, np.uint8)
    ends = np.flatnonzero(octet < 0x80)
    if len(octet) and (len(ends) == 0 or ends[-1] != len(octet) - 1):
        raise Damaged("a number without an end")
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    numbers = np.zeros(len(ends), np.uint64)
    lengths = ends - starts + 1
    if len(ends) and lengths.max() > 10:
        raise Damaged("a number without an end")
    for position in range(int(lengths.max(initial=0))):
        remaining = lengths > position
        bits = (octet[starts[remaining] + position] & 0x7F).astype(np.uint64)
        numbers[remaining] |= bits << np.uint64(7 * position)
    return numbers.view(np.int64)


def reals(value: Value) -> NDArray[Any]:
    """Return one float, or a packed sequence of them."""
    data = octets(value)
    if len(data) % 4:
        raise Damaged("bytes where real numbers belong")
    return np.frombuffer(data, "<f4")


def shown(name: str) -> str:
    """Return a name in the file for a message: quoted, shortened, and without control characters."""
    return repr(name if len(name) <= 80 else f"{name[:77]}…")
