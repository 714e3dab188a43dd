"""Descriptions of the tensors in a file, and functions that read their elements."""

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
"""Number of bytes in one read."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file: its shape, its element type ("float32", …, or "bfloat16"), and a function that reads it."""

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

References: "FP8 formats for deep learning" (Micikevicius et al. 2022); fnuz: Noune et al. 2022.
"""


def read_numbers(file: IO[bytes], dtype: str, count: int, big_endian: bool = False) -> NDArray[Any]:
    """Read the next `count` elements of the type `dtype`; bfloat16 and float8 become float32.

    Raise `ModelError` if the file ends too early.
    """
    raw_types = {"bfloat16": "uint16", "bool": "uint8", **dict.fromkeys(FLOAT8, "uint8")}
    raw_type = np.dtype(raw_types.get(dtype, dtype))
    raw = np.empty(count, raw_type.newbyteorder(">" if big_endian else "<"))
    buffer, offset = raw.view(np.uint8), 0
    while offset < len(buffer):
        chunk = file.read(min(READ_BYTES, len(buffer) - offset))
        if not chunk:
            raise ModelError(DAMAGED)
        buffer[offset : offset + len(chunk)] = np.frombuffer(chunk, np.uint8)
        offset += len(chunk)
    if dtype == "bfloat16":  # The upper half of a float32.
        return (raw.astype(np.uint32) << 16).view(np.float32)
    if dtype in FLOAT8:
        return np.asarray(_float8(dtype)[raw])
    return raw.astype(dtype, copy=False)


@cache
def _float8(dtype: str) -> NDArray[np.float32]:
    """Return the float32 values of the 256 codes of an 8-bit float type."""
    bits, bias, has_one_nan = FLOAT8[dtype]
    codes = np.arange(256)
    exponent, fraction = codes >> (7 - bits) & (1 << bits) - 1, codes & (1 << 7 - bits) - 1
    significand = fraction / (1 << 7 - bits)
    magnitude = np.where(exponent == 0, significand * 2.0 ** (1 - bias), (1 + significand) * 2.0 ** (exponent - bias))
    values = np.where(codes < 128, magnitude, -magnitude)
    if has_one_nan:
        values[0x80] = np.nan
    elif bits == 4:
        values[[0x7F, 0xFF]] = np.nan
    else:  # As in wider types, infinities and NaN have the largest exponent.
        is_special = exponent == (1 << bits) - 1
        values[is_special] = np.where(fraction[is_special] == 0, np.copysign(np.inf, values[is_special]), np.nan)
    return values.astype(np.float32)


def element_bytes(dtype: str) -> int:
    """Return the size of an element in bytes."""
    return 2 if dtype == "bfloat16" else 1 if dtype in FLOAT8 else np.dtype(dtype).itemsize


def quote(text: str, max_length: int = 100) -> str:
    """Return a name from a file for a message: in quotes, shortened, control characters escaped."""
    return repr(text if len(text) <= max_length else f"{text[: max_length - 1]}…")
