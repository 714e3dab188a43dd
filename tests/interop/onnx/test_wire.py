"""Tests of the wire format: integers of every length, and malformed bytes."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsin.base.errors import ModelError
from opsin.interop.onnx import wire
from opsin.interop.onnx.messages import read_model
from tests.interop.onnx.support import import_error
from tests.interop.onnx.writer import File, entry, varint

INT64 = st.integers(-(2**63), 2**63 - 1)


@given(INT64)
def test_integers(number: int) -> None:
    ((field, value),) = wire.WireReader().fields(memoryview(entry(5, number)))
    assert (field, wire.as_int(value)) == (5, number)


@given(st.lists(INT64))
def test_packed_integers(numbers: list[int]) -> None:
    integers = wire.as_ints(memoryview(b"".join(map(varint, numbers))))
    assert integers.tolist() == numbers


@given(st.lists(st.floats(width=32, allow_nan=False)))
def test_packed_floats(numbers: list[float]) -> None:
    data = memoryview(np.array(numbers, "<f4").tobytes())
    assert wire.as_floats(data).tolist() == numbers
    assert [wire.as_float(data[i : i + 4]) for i in range(0, len(data), 4)] == numbers


def test_all_wire_types() -> None:
    data = entry(1, 300) + b"\x11" + struct.pack("<d", 2.5) + entry(3, "text") + entry(4, -1.5)
    fields = [
        (number, value if isinstance(value, int) else bytes(value)) for number, value in wire.WireReader().fields(data)
    ]
    assert fields == [(1, 300), (2, struct.pack("<d", 2.5)), (3, b"text"), (4, struct.pack("<f", -1.5))]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x08", "an unterminated integer"),
        (b"\x08" + b"\xff" * 11, "an unterminated integer"),
        (b"\x0a\x05abc", "a field of 5 bytes where 3 are left"),
        (b"\x0a" + varint(2**63) + b"abc", "a field of 9,223,372,036,854,775,808 bytes where 3 are left"),
        (b"\x0d\x00", "a field of 4 bytes where 1 are left"),
        (b"\x0b\x0c", "a field of the unknown wire type 3"),
        (entry(7, 5), "an integer where a string, a message or an array belongs"),
        (entry(2, b"\xff\xfe"), "a name that is not valid UTF-8"),
        (entry(8, entry(2, b"abc")), "bytes where an integer belongs"),
        (entry(7, entry(1, entry(5, entry(2, 7) + entry(20, 1)))), "an integer where a string, a message or an array"),
        (entry(7, entry(1, entry(5, entry(2, b"ab")))), "bytes where a float belongs"),
        (entry(7, entry(1, entry(5, entry(7, b"abc")))), "bytes where floats belong"),
        (entry(7, entry(1, entry(5, entry(8, b"\xff")))), "an unterminated integer"),
        (entry(7, entry(1, entry(5, entry(8, b"\xff" * 10 + b"\0")))), "an unterminated integer"),
        (entry(7, entry(5, entry(1, -1))), "a tensor '' with invalid dimensions"),
        (entry(7, entry(5, entry(1, b"\1" * 17))), "a tensor '' with invalid dimensions"),
        (entry(7, entry(11, entry(2, entry(1, entry(2, entry(1, b"") * 17))))), "'' with invalid dimensions"),
    ],
)
def test_malformed_messages(data: bytes, text: str) -> None:
    with pytest.raises(ModelError) as error:
        read_model(memoryview(data))
    assert str(error.value).startswith(f"is damaged or cut short ({text}")
    assert str(error.value).endswith("); copy it again or export it again")


def test_files_truncated_at_every_byte(tmp_path: Path) -> None:
    data = File(weights={"w": np.ones((2, 3, 1, 1), np.float32)}).add("Conv", "x w", "y", strides=[1, 1]).data()
    for length in range(1, len(data)):
        text = import_error(data[:length], tmp_path)
        assert "damaged or cut short" in text or "is not an ONNX file" in text, length


def test_limit_of_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_FIELDS", 1000)
    with pytest.raises(ModelError, match="has more than 1,000 fields, which no network needs"):
        read_model(memoryview(entry(1, 8) * 1001))


def test_tensors_in_segments() -> None:
    with pytest.raises(ModelError, match="has a tensor in segments"):
        read_model(memoryview(entry(7, entry(5, entry(3, b"")))))
