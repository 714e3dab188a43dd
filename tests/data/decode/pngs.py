"""Writes small PNG files of every kind, with any chunks around the image data."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By PNG's colour type: grey, RGB, palette, grey and alpha, RGB and alpha."""


def chunk(kind: bytes, content: bytes, damage: int = 0) -> bytes:
    """`damage` makes its checksum wrong."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content) ^ damage)


def png(
    values: NDArray[Any],
    bits: int = 8,
    colours: int = 2,
    before: Sequence[bytes] = (),
    after: Sequence[bytes] = (),
    palette: bytes = b"",
    transparent: bytes = b"",
) -> bytes:
    """`values` H×W×channels, whole numbers; every second row holds differences to its left neighbours."""
    height, width = values.shape[:2]
    rows, step = b"", max(1, CHANNELS[colours] * bits // 8)
    for number, row in enumerate(values.reshape(height, -1)):
        ones = (row[:, None].astype(np.uint32) >> np.arange(bits - 1, -1, -1)) & 1
        to_mode = np.packbits(ones.astype(np.uint8).reshape(-1))
        left = np.concatenate([np.zeros(step, np.uint8), to_mode[:-step]])
        rows += bytes([number % 2]) + (to_mode - left if number % 2 else to_mode).tobytes()
    head = chunk(b"IHDR", struct.pack(">2I5B", width, height, bits, colours, 0, 0, 0))
    tables = (chunk(b"PLTE", palette) if palette else b"") + (chunk(b"tRNS", transparent) if transparent else b"")
    data = zlib.compress(rows)
    halves = chunk(b"IDAT", data[:9]) + chunk(b"IDAT", data[9:])
    return b"".join((b"\x89PNG\r\n\x1a\n", head, tables, *before, halves, *after, chunk(b"IEND", b"")))
