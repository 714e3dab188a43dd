"""Protocol Buffers' wire format, read where it lies.

A message is a sequence of fields: a key, which holds a number and a kind, and a value that is a whole number, four or
eight bytes, or so many bytes as it says itself (protobuf.dev/programming-guides/encoding). Nothing is copied, every
length is compared with what there is, and the work is bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import ModelError

MOST_FIELDS = 5_000_000
"""So many fields are read in all. Networks have some ten thousand; their weights are one field each."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

Value: TypeAlias = "int | memoryview"
"""A whole number below 2^64, or bytes."""


class Damaged(ModelError):
    """Bytes that are not what they should be; the text goes after the file's name."""

    def __init__(self, what: str) -> None:
        super().__init__(f"is damaged or cut short ({what}); copy it again or export it anew")


class Wire:
    """Splits messages into fields, no more than `MOST_FIELDS` of them."""

    def __init__(self) -> None:
        self.left = MOST_FIELDS

    def fields(self, message: Value) -> Iterator[tuple[int, Value]]:
        """The number and the value of each field of `message`."""
        data = octets(message)
        place = 0
        while place < len(data):
            self.left -= 1
            if self.left < 0:
                raise ModelError(f"has more than {MOST_FIELDS:,} fields, which no network needs")
            key, place = varint(data, place)
            kind = key & 7
            if kind == VARINT:
                value, place = varint(data, place)
                yield key >> 3, value
                continue
            if kind == BYTES:
                length, place = varint(data, place)
            elif kind in (FIXED32, FIXED64):
                length = 4 if kind == FIXED32 else 8
            else:
                raise Damaged(f"a field of the unknown kind {kind}")
            if length > len(data) - place:
                raise Damaged(f"a field of {length:,} bytes where {len(data) - place:,} are left")
            yield key >> 3, data[place : place + length]
            place += length


def varint(data: memoryview, place: int) -> tuple[int, int]:
    """The whole number that begins at `place`, seven bits a byte, lowest first, and the place after it."""
    number = 0
    for position, byte in enumerate(data[place : place + 10]):
        number |= (byte & 0x7F) << 7 * position
        if byte < 0x80:
            return number & (2**64 - 1), place + position + 1
    raise Damaged("a number without an end")


def octets(value: Value) -> memoryview:
    """`value` where bytes are expected."""
    if isinstance(value, int):
        raise Damaged("a number where a text, a message or an array belongs")
    return value


def text(value: Value) -> str:
    """`value` as UTF-8."""
    try:
        return str(octets(value), "utf-8")
    except UnicodeDecodeError:
        raise Damaged("a name that is no text") from None


def whole(value: Value) -> int:
    """`value` as a whole number with a sign, 64 bits."""
    if not isinstance(value, int):
        raise Damaged("bytes where a number belongs")
    return value - 2**64 if value >= 2**63 else value


def real(value: Value) -> float:
    """`value`, four bytes, as a real number."""
    data = octets(value)
    if len(data) != 4:
        raise Damaged("bytes where a real number belongs")
    (number,) = struct.unpack("<f", data)
    return float(number)


def wholes(value: Value) -> NDArray[np.int64]:
    """One whole number, or a packed run of them."""
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
        there = lengths > position
        bits = (octet[starts[there] + position] & 0x7F).astype(np.uint64)
        numbers[there] |= bits << np.uint64(7 * position)
    return numbers.view(np.int64)


def reals(value: Value) -> NDArray[Any]:
    """One real number, or a packed run of them."""
    data = octets(value)
    if len(data) % 4:
        raise Damaged("bytes where real numbers belong")
    return np.frombuffer(data, "<f4")


def shown(name: str) -> str:
    """A name of the file's for a message: quoted, not too long, and nothing that a terminal would obey."""
    return repr(name if len(name) <= 80 else f"{name[:77]}…")
