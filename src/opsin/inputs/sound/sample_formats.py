"""How WAV files store a sample: whole numbers of 8 to 32 bits, real numbers, and the two logarithmic laws of G.711."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE

ENCODINGS = {
    PCM: "PCM",
    2: "ADPCM",
    FLOAT: "floating point",
    A_LAW: "A-law",
    MU_LAW: "µ-law",
    17: "IMA ADPCM",
    85: "MP3",
}
"""The encodings that a message calls by name; the numbers are those of WAV files."""

MAX_CHANNELS = 256


@dataclass(frozen=True)
class SampleFormat:
    """`decode` turns bytes into samples, float32, full scale 1; `width` is the size of one sample in bytes."""

    width: int
    decode: Callable[[bytes], NDArray[np.float32]]


@cache
def sample_format(encoding: int, width: int, order: str) -> SampleFormat | None:
    """Return the format of samples of `width` bytes in byte order "<" or ">"; None if it is not supported."""
    if encoding == PCM and width == 3:
        return SampleFormat(3, lambda data: _24_bits(data, order))
    if encoding == PCM and width == 1:
        return SampleFormat(1, lambda data: _scaled(np.frombuffer(data, np.uint8).astype(np.int16) - 128, 7))
    if encoding == PCM and width in (2, 4):
        return SampleFormat(width, lambda data: _scaled(np.frombuffer(data, f"{order}i{width}"), 8 * width - 1))
    if encoding == FLOAT and width in (4, 8):
        return SampleFormat(width, lambda data: _real(np.frombuffer(data, f"{order}f{width}")))
    if encoding in (A_LAW, MU_LAW) and width == 1:
        table = (a_law if encoding == A_LAW else mu_law)(np.arange(256))
        return SampleFormat(1, lambda data: table[np.frombuffer(data, np.uint8)])
    return None


def _24_bits(data: bytes, order: str) -> NDArray[np.float32]:
    parts = np.frombuffer(data, np.uint8).reshape(-1, 3)[:, :: 1 if order == "<" else -1]
    wide = np.zeros((len(parts), 4), np.uint8)
    wide[:, 1:] = parts
    return _scaled(wide.reshape(-1).view("<i4"), 31)


def _scaled(numbers: NDArray[Any], bits: int) -> NDArray[np.float32]:
    return numbers.astype(np.float32) * np.float32(2.0**-bits)


def _real(numbers: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore", invalid="ignore"):
        return numbers.astype(np.float32)


def mu_law(codes: NDArray[Any]) -> NDArray[np.float32]:
    """Return the samples of µ-law codes 0 to 255 (ITU-T G.711, table 2)."""
    inverted = 255 - codes
    exponent, mantissa = inverted >> 4 & 7, inverted & 15
    size = ((2 * mantissa + 33) << exponent) - 33
    return _scaled(np.where(inverted & 128, -size, size) * 4, 15)


def a_law(codes: NDArray[Any]) -> NDArray[np.float32]:
    """Return the samples of A-law codes 0 to 255 (ITU-T G.711, table 1)."""
    toggled = codes ^ 0x55
    exponent, mantissa = toggled >> 4 & 7, toggled & 15
    size = (2 * mantissa + 1 + 32 * (exponent > 0)) << np.maximum(exponent - 1, 0)
    return _scaled(np.where(toggled & 128, size, -size) * 8, 15)
