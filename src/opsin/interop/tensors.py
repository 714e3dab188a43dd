"""Tensors in a file, described before they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import ModelError

DAMAGED = "it is damaged or cut short; copy it again"

READ_BYTES = 2**20
"""Bytes of one read."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of a file: its shape, its element type ("float32", …, or "bfloat16"), and a function that reads it."""

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], NDArray[Any]]

    @classmethod
    def of(cls, array: NDArray[Any]) -> StoredTensor:
        """Return a description of an array in memory."""
        return cls(array.shape, array.dtype.name, lambda: array)


FLOAT8 = {
    "float8_e4m3fn": (4, 7, False), "float8_e5m2": (5, 15, False),
    "float8_e4m3fnuz": (4, 8, True), "float8_e5m2fnuz": (5, 16, True),
}  # fmt: skip
"""8-bit floats: bits of the exponent, its bias, and whether the only NaN has the code of -0.

"FP8 formats for deep learning" (Micikevicius et al. 2022); fnuz: Noune et al. 2022.
"""


def read_numbers(file: IO[bytes], dtype: str, count: int, big_endian: bool = False) -> NDArray[Any]:
    """Read the next `count` numbers, bfloat16 and float8 as float32; raise `ModelError` if the file ends earlier."""
    raw_kinds = {"bfloat16": "uint16", "bool": "uint8", **dict.fromkeys(FLOAT8, "uint8")}
    kind = np.dtype(raw_kinds.get(dtype, dtype))
    raw = np.empty(count, kind.newbyteorder(">" if big_endian else "<"))
    buffer, done = raw.view(np.uint8), 0
    while done < len(buffer):
        piece = file.read(min(READ_BYTES, len(buffer) - done))
        if not piece:
            raise ModelError(DAMAGED)
        buffer[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
        done += len(piece)
    if dtype == "bfloat16":  # The upper half of a float32.
        return (raw.astype(np.uint32) << 16).view(np.float32)
    if dtype in FLOAT8:
        return np.asarray(_float8(dtype)[raw])
    return raw.astype(dtype, copy=False)


@cache
def _float8(dtype: str) -> NDArray[np.float32]:
    """Return the value of each of the 256 codes."""
    bits, bias, has_one_nan = FLOAT8[dtype]
    codes = np.arange(256)
    exponent, fraction = codes >> (7 - bits) & (1 << bits) - 1, codes & (1 << 7 - bits) - 1
    significand = fraction / (1 << 7 - bits)
    size = np.where(exponent == 0, significand * 2.0 ** (1 - bias), (1 + significand) * 2.0 ** (exponent - bias))
    values = np.where(codes < 128, size, -size)
    if has_one_nan:
        values[0x80] = np.nan
    elif bits == 4:
        values[[0x7F, 0xFF]] = np.nan
    else:  # As in wider types, the largest exponent is that of infinities and NaN.
        top = exponent == (1 << bits) - 1
        values[top] = np.where(fraction[top] == 0, np.copysign(np.inf, values[top]), np.nan)
    return values.astype(np.float32)


def size_of(dtype: str) -> int:
    """Return the bytes of a number."""
    return 2 if dtype == "bfloat16" else 1 if dtype in FLOAT8 else np.dtype(dtype).itemsize


def quoted(text: str, max_length: int = 100) -> str:
    """Return a name from a file for a message: shortened, and without control characters."""
    return repr(text if len(text) <= max_length else f"{text[: max_length - 1]}…")
