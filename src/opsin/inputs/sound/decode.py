"""Decode recordings: one channel of 16-bit samples at one rate.

Formats are told by the first bytes, not by the name. Only as much of a file is read as is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.base.file_types import HEAD, identify
from opsin.inputs.sound.compressed import CompressedFile, compressed_format, open_compressed
from opsin.inputs.sound.findings import FULL_SCALE, Finding, findings
from opsin.inputs.sound.resample import margin, resample
from opsin.inputs.sound.wav import WavHeader, is_wav, read_wav_header

MAX_SAMPLES = 2**26
"""Samples of one channel that are decoded at once: 23 minutes at 48 kHz, 256 MiB."""

FORMATS = "WAV, FLAC, Ogg and MP3"


@dataclass(frozen=True)
class SoundInfo:
    """What the header of a recording says: its format, its rate in Hz, its channels and its duration in seconds."""

    format: str
    rate: int
    channels: int
    seconds: float


@dataclass(frozen=True)
class DecodedSound:
    """`samples` int16 1 × 1 × L, and what is odd about the recording. `seconds` were decoded, before padding."""

    samples: NDArray[np.int16]
    seconds: float
    findings: tuple[Finding, ...]


def sound_info(source: bytes | Path, name: str) -> SoundInfo:
    """Return what the header of a file says, without decoding it. Raise `DataError` if it is no recording."""
    with _opened(source, name) as file:
        format, header = _header(file, name)
        return SoundInfo(format, header.rate, header.channels, header.declared_frames / header.rate)


def decode(source: bytes | Path, name: str, rate: int, length: int | None = None) -> DecodedSound:
    """Return the mean of a recording's channels at `rate` Hz.

    With `length`, return so many samples from the beginning; zeros follow the end of a shorter recording. Raise
    `DataError` if the file is no recording, is damaged, holds no samples, or is too long to be decoded without a
    `length`.
    """
    with _opened(source, name) as file:
        _, header = _header(file, name)
        wanted = header.declared_frames
        if length is not None:
            wanted = min(wanted, -(-length * header.rate // rate) + margin(header.rate, rate))
        if wanted > MAX_SAMPLES:
            limit = MAX_SAMPLES / header.rate / 60
            raise DataError(f"{name}: it is longer than {limit:.0f} minutes; cut it into parts, or give a length")
        blocks = header.blocks(wanted) if isinstance(header, CompressedFile) else header.blocks(file, wanted)
        mono, clipped = _mono(blocks, wanted, name)
    if not len(mono) and wanted:
        raise DataError(f"{name}: it is cut short: none of its {header.declared_frames:,} samples is there")
    if not len(mono):
        raise DataError(f"{name}: the recording holds no samples; record it again")
    odd = findings(mono, clipped, header.rate, wanted)
    samples = resample(mono, header.rate, rate)[:length]
    if length is not None:
        samples = np.pad(samples, (0, length - len(samples)))
    return DecodedSound(to_int16(samples).reshape(1, 1, -1), min(len(mono) / header.rate, len(samples) / rate), odd)


def to_int16(samples: NDArray[Any]) -> NDArray[np.int16]:
    """Return samples of full scale 1 as whole numbers; those beyond the range are cut off."""
    return np.asarray(np.clip(np.rint(samples * 32768.0), -32768, 32767), np.int16)


def _opened(source: bytes | Path, name: str) -> BinaryIO:
    if isinstance(source, bytes):
        return BytesIO(source)
    try:
        return source.open("rb")
    except OSError as error:
        raise DataError(f"{name}: {error.strerror}") from None


def _header(file: BinaryIO, name: str) -> tuple[str, WavHeader | CompressedFile]:
    head = file.read(HEAD)
    if is_wav(head):
        return "WAV", read_wav_header(file, name)
    format = compressed_format(head)
    if format:
        return format, open_compressed(file, format, name)
    kind = identify(head)
    what = f"it is {kind.what}" if kind else "its first bytes are those of no known format"
    raise DataError(f"{name}: {what}, not a recording; {FORMATS} can be read")


def _mono(blocks: Iterator[NDArray[np.float32]], frames: int, name: str) -> tuple[NDArray[np.float32], int]:
    """Return the mean of the channels, and how many frames have a channel at its limits."""
    parts, clipped = [], 0
    for block in blocks:
        if not np.isfinite(block).all():
            raise DataError(f"{name}: the recording contains NaN or infinity; convert it to 16-bit PCM")
        clipped += int((np.abs(block) >= FULL_SCALE).any(axis=1).sum())
        parts.append(block.mean(axis=1, dtype=np.float32) if block.shape[1] > 1 else block[:, 0])
    return np.concatenate(parts) if parts else np.zeros(0, np.float32), clipped
