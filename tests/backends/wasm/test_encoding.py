"""Numbers of the binary format, compared with the examples of its definition, and with the values they stand for."""

from __future__ import annotations

import pytest

from opsin.backends.wasm.encoding import signed, unsigned


def value(content: bytes, is_signed: bool) -> int:
    total = sum((octet & 0x7F) << (7 * place) for place, octet in enumerate(content))
    assert all(octet & 0x80 for octet in content[:-1]) and not content[-1] & 0x80
    return total - (1 << (7 * len(content))) if is_signed and content[-1] & 0x40 else total


@pytest.mark.parametrize("number", [0, 1, 63, 64, 127, 128, 624485, 2**31 - 1, 2**32 - 1])
def test_unsigned_numbers(number: int) -> None:
    assert value(unsigned(number), False) == number


@pytest.mark.parametrize("number", [0, 1, -1, 63, 64, -64, -65, 127, 128, -123456, 2**31 - 1, -(2**31)])
def test_signed_numbers(number: int) -> None:
    assert value(signed(number), True) == number


def test_the_examples_of_dwarf() -> None:
    assert unsigned(624485) == b"\xe5\x8e\x26" and signed(-123456) == b"\xc0\xbb\x78"
