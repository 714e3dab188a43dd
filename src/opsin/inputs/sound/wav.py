"""Read WAV files (RIFF, RIFX and RF64) without other libraries.

After "Multimedia programming interface and data specifications 1.0" (IBM and Microsoft, 1991), its extension for more
channels and sample sizes (WAVEFORMATEXTENSIBLE), and EBU Tech 3306 for RF64. Programs that write to a pipe do not know
the sizes in advance: they write 0 or the largest number, and the samples end with the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.inputs.sound.resample import MAX_RATE
from opsin.inputs.sound.sample_formats import ENCODINGS, EXTENSIBLE, MAX_CHANNELS, SampleFormat, sample_format

MAX_CHUNKS = 10_000
"""A file with more chunks before its samples is refused."""

MIN_FORMAT_BYTES, MAX_FORMAT_BYTES = 16, 1024
"""The size of a description of samples."""

UNKNOWN_SIZE = 0x7FFF0000
"""Sizes from here on are those of a writer that did not know the size, if the file is shorter."""

BYTE_ORDERS = {b"RIFF": "<", b"RF64": "<", b"BW64": "<", b"RIFX": ">"}
BLOCK_FRAMES = 2**16


@dataclass(frozen=True)
class WavHeader:
    """Where the samples of a WAV file are, and what they mean. A frame is one sample of each channel."""

    format: SampleFormat
    channels: int
    rate: int
    start: int
    """The byte of the first sample."""
    frames: int
    declared_frames: int
    """As many as the file says that it has; more than `frames` if it was cut short."""

    @property
    def block(self) -> int:
        """The bytes of a frame."""
        return self.channels * self.format.width

    def blocks(self, file: BinaryIO, frames: int) -> Iterator[NDArray[np.float32]]:
        """Yield the first `frames` frames in blocks × channels. Full scale is 1."""
        file.seek(self.start)
        for first in range(0, min(frames, self.frames), BLOCK_FRAMES):
            count = min(BLOCK_FRAMES, frames - first, self.frames - first)
            yield self.format.decode(file.read(count * self.block)).reshape(-1, self.channels)


def is_wav(head: bytes) -> bool:
    """Return whether a file with these first bytes is a WAV file."""
    return head[:4] in BYTE_ORDERS and head[8:12] == b"WAVE"


def read_wav_header(file: BinaryIO, name: str) -> WavHeader:
    """Read chunks until the format and the place of the samples are known.

    Raise `DataError` if the file ends before its samples, or if they have an encoding that is not supported.
    """
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(12)
    order = BYTE_ORDERS[head[:4]]
    (riff_size,) = struct.unpack(f"{order}I", head[4:8])
    wide_size, description, data = None, None, None
    for chunk, start, length in _chunks(file, size, order):
        if chunk == b"ds64" and length >= 16:
            (wide_size,) = struct.unpack(f"{order}Q", file.read(16)[8:])
        elif chunk == b"fmt ":
            description = file.read(min(length, MAX_FORMAT_BYTES))
        elif chunk == b"data" and data is None:
            data = start, _data_size(length, size - start, wide_size, riff_size)
            if description is not None:
                break
    if description is None or data is None:
        what = "its samples" if data is None else "the description of its samples"
        raise DataError(f"{name}: the WAV file ends before {what}; copy it again")
    return _header(description, order, data, size, name)


def _chunks(file: BinaryIO, size: int, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, the first byte and the length of each chunk. Chunks start at even bytes."""
    position = 12
    for _ in range(MAX_CHUNKS):
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            return
        (length,) = struct.unpack(f"{order}I", head[4:])
        yield head[:4], position + 8, length
        if length >= UNKNOWN_SIZE and position + 8 + length > size:
            return
        position += 8 + length + length % 2


def _data_size(length: int, available: int, wide_size: int | None, riff_size: int) -> int:
    if length == 0xFFFFFFFF and wide_size is not None:
        return wide_size
    endless = length >= UNKNOWN_SIZE and length > available
    return available if endless or (not length and riff_size in (0, 0xFFFFFFFF)) else length


def _header(description: bytes, order: str, data: tuple[int, int], size: int, name: str) -> WavHeader:
    if len(description) < MIN_FORMAT_BYTES:
        raise DataError(f"{name}: the WAV file describes its samples in {len(description)} bytes; convert it again")
    tag, channels, rate, _, block, bits = struct.unpack(f"{order}HHIIHH", description[:16])
    if tag == EXTENSIBLE and len(description) >= 26:
        (tag,) = struct.unpack(f"{order}H", description[24:26])
    if not 1 <= channels <= MAX_CHANNELS or not 1 <= rate <= MAX_RATE:
        raise DataError(f"{name}: the WAV file says that it has {channels} channels at {rate:,} Hz; it is damaged")
    # Samples of 20 bits are in the upper bits of three bytes: the size of a frame counts.
    width = block // channels if block and block % channels == 0 else -(-bits // 8)
    found = sample_format(tag, width, order)
    if found is None:
        raise DataError(
            f"{name}: the WAV file has {bits} bits per sample in {ENCODINGS.get(tag, f'the encoding {tag:#06x}')}; "
            "convert it to 16-bit PCM"
        )
    start, length = data
    bytes_of_frame = channels * found.width
    return WavHeader(
        found, channels, rate, start, max(0, min(length, size - start)) // bytes_of_frame, length // bytes_of_frame
    )
