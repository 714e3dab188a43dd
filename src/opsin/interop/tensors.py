"""Tensors that lie in a file, described before they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import ModelError

DAMAGED = "it is damaged or cut short; copy it again"

PIECE = 2**20
"""Bytes read at once."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of a file: its shape, what its numbers are ("float32", …, or "bfloat16"), and the way to them."""

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], NDArray[Any]]

    @classmethod
    def of(cls, array: NDArray[Any]) -> StoredTensor:
        """An array in memory, as if it were in a file."""
        return cls(array.shape, array.dtype.name, lambda: array)


FLOAT8 = {
    "float8_e4m3fn": (4, 7, False), "float8_e5m2": (5, 15, False),
    "float8_e4m3fnuz": (4, 8, True), "float8_e5m2fnuz": (5, 16, True),
}  # fmt: skip
"""Real numbers of eight bits: bits of the exponent, its bias, and whether the only NaN takes the place of -0.

"FP8 formats for deep learning" (Micikevicius et al. 2022); fnuz: Noune et al. 2022.
"""


def read_numbers(file: IO[bytes], dtype: str, count: int, big_endian: bool = False) -> NDArray[Any]:
    """The next `count` numbers; bfloat16 and float8 become float32. `ModelError` where the file ends before."""
    raw_kinds = {"bfloat16": "uint16", "bool": "uint8", **dict.fromkeys(FLOAT8, "uint8")}
    kind = np.dtype(raw_kinds.get(dtype, dtype))
    raw = np.empty(count, kind.newbyteorder(">" if big_endian else "<"))
    room, done = raw.view(np.uint8), 0
    while done < len(room):
        piece = file.read(min(PIECE, len(room) - done))
        if not piece:
            raise ModelError(DAMAGED)
        room[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
        done += len(piece)
    if dtype == "bfloat16":  # the upper half of a float32
        return (raw.astype(np.uint32) << 16).view(np.float32)
    if dtype in FLOAT8:
        return np.asarray(_float8(dtype)[raw])
    return raw.astype(dtype, copy=False)


@cache
def _float8(dtype: str) -> NDArray[np.float32]:
    """What each of the 256 bytes stands for."""
    bits, bias, single = FLOAT8[dtype]
    codes = np.arange(256)
    exponent, fraction = codes >> (7 - bits) & (1 << bits) - 1, codes & (1 << 7 - bits) - 1
    share = fraction / (1 << 7 - bits)
    size = np.where(exponent == 0, share * 2.0 ** (1 - bias), (1 + share) * 2.0 ** (exponent - bias))
    values = np.where(codes < 128, size, -size)
    if single:
        values[0x80] = np.nan
    elif bits == 4:
        values[[0x7F, 0xFF]] = np.nan
    else:  # as in wider types, the largest exponent is that of infinities and NaN
        top = exponent == (1 << bits) - 1
        values[top] = np.where(fraction[top] == 0, np.copysign(np.inf, values[top]), np.nan)
    return values.astype(np.float32)


def size_of(dtype: str) -> int:
    """Bytes of a number."""
    return 2 if dtype == "bfloat16" else 1 if dtype in FLOAT8 else np.dtype(dtype).itemsize


def quoted(text: str, most: int = 100) -> str:
    """A name from a file as it can be shown: not too long, and without characters that a terminal would obey."""
    return repr(text if len(text) <= most else f"{text[: most - 1]}…")
