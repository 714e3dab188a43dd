"""Tensors that lie in a file, described before they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from opsin.errors import ModelError

DAMAGED = "it is damaged or cut short; copy it again"

PIECE = 2**20
"""Bytes read at once."""


@dataclass(frozen=True)
class Stored:
    """A tensor of a file: its shape, what its numbers are ("float32", …, or "bfloat16"), and the way to them."""

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], NDArray[Any]]

    @classmethod
    def of(cls, array: NDArray[Any]) -> Stored:
        """An array in memory, as if it were in a file."""
        return cls(array.shape, array.dtype.name, lambda: array)


def read_numbers(file: IO[bytes], dtype: str, count: int, big_endian: bool = False) -> NDArray[Any]:
    """The next `count` numbers; bfloat16 becomes float32. `ModelError` where the file ends before."""
    kind = np.dtype({"bfloat16": "uint16", "bool": "uint8"}.get(dtype, dtype))
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
    return raw.astype(dtype, copy=False)


def size_of(dtype: str) -> int:
    """Bytes of a number."""
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


def quoted(text: str, most: int = 100) -> str:
    """A name from a file as it can be shown: not too long, and without characters that a terminal would obey."""
    return repr(text if len(text) <= most else f"{text[: most - 1]}…")
