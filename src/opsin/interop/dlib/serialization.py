"""Reader of dlib's serialization (dlib/serialize.h and dlib/cuda/tensor.cpp), as far as weights need it.

An integer is a byte with its sign (bit 7) and the number of bytes that follow (bits 0 to 3), then these bytes, the
lowest first. A string is its length and its bytes. A tensor is a version, which is 2, four sizes, and float32.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import ModelError

SIGN, LENGTH = 0x80, 0x0F
MAX_INTEGER_BYTES = 8
TENSOR_VERSION, TENSOR_RANK = 2, 4

MAX_GAP = 4096
"""Bytes between the tensors of two layers: numbers that only training needs."""


class Serialization:
    """Reads a file from the front. Every method raises `ModelError` if the content is another."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    def skip_to(self, name: str) -> None:
        """Skip to what follows the string `name`."""
        mark = bytes([1, len(name)]) + name.encode()
        place = self._data.find(mark, self._place, self._place + MAX_GAP)
        if place < 0:
            raise ModelError(f"has no layer '{name}' at byte {self._place:,}")
        self._place = place + len(mark)

    def integer(self) -> int:
        """Return the next integer."""
        control = self._bytes(1)[0]
        if control & LENGTH > MAX_INTEGER_BYTES:
            raise ModelError(f"is damaged at byte {self._place:,}")
        value = int.from_bytes(self._bytes(control & LENGTH), "little")
        return -value if control & SIGN else value

    def tensor(self, size: int) -> NDArray[np.float32]:
        """Return the next tensor as an array of `size` numbers."""
        version, *sizes = (self.integer() for _ in range(1 + TENSOR_RANK))
        if version != TENSOR_VERSION or prod(sizes) != size:
            raise ModelError(f"has a tensor of {prod(sizes):,} numbers at byte {self._place:,}, not of {size:,}")
        return np.frombuffer(self._bytes(4 * size), "<f4").astype(np.float32)

    def _bytes(self, count: int) -> bytes:
        data = self._data[self._place : self._place + count]
        if len(data) < count:
            raise ModelError("is cut short; download it again")
        self._place += count
        return data
