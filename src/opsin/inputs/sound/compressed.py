"""Read FLAC, Ogg and MP3 files with soundfile, which is not installed with Opsin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.base.optional import require

BLOCK_FRAMES = 2**16

SIGNATURES = ((b"fLaC", "FLAC"), (b"OggS", "Ogg"), (b"ID3", "MP3"))
"""The first bytes of the formats. An MP3 file without a title begins with a frame: eleven bits that are 1, layer 3."""


def compressed_format(head: bytes) -> str | None:
    """Return the format of a file with these first bytes; None if it is none of these."""
    for signature, name in SIGNATURES:
        if head.startswith(signature):
            return name
    is_frame = len(head) > 2 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2 and head[1] & 0x18 != 0x08
    return "MP3" if is_frame and head[2] >> 4 != 15 and head[2] & 0x0C != 0x0C else None


@dataclass(frozen=True)
class CompressedFile:
    """An open file of soundfile's."""

    file: Any
    channels: int
    rate: int
    declared_frames: int
    name: str

    def blocks(self, frames: int) -> Iterator[NDArray[np.float32]]:
        """Yield the first `frames` frames in blocks × channels, as far as they can be decoded."""
        rest = frames
        while rest > 0:
            try:
                block = self.file.read(min(BLOCK_FRAMES, rest), dtype="float32", always_2d=True)
            except (RuntimeError, ValueError):
                return
            if not len(block):
                return
            yield np.asarray(block, np.float32)
            rest -= len(block)


def open_compressed(file: BinaryIO, format: str, name: str) -> CompressedFile:
    """Open a file. Raise `DataError` if soundfile is not installed, or cannot read it."""
    library = require(
        "soundfile",
        DataError,
        f"{name}: {format} files need soundfile; install it with: pip install 'opsin[sound]'",
    )
    file.seek(0)
    try:
        opened = library.SoundFile(file)
    except (RuntimeError, ValueError) as error:
        raise DataError(f"{name}: it begins like {format}, but cannot be decoded ({_reason(error)})") from None
    return CompressedFile(opened, opened.channels, opened.samplerate, max(0, opened.frames), name)


def _reason(error: Exception) -> str:
    return str(getattr(error, "error_string", error)).strip().rstrip(".") or "unknown error"
