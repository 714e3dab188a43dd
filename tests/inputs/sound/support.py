"""Recordings for tests."""

from __future__ import annotations

import struct

import numpy as np


def tone(seconds: float = 0.5, rate: int = 8000, channels: int = 1) -> np.ndarray:
    """Frames × channels of tones of half of full scale, 16 bits."""
    time = np.arange(int(seconds * rate)) / rate
    waves = [np.sin(2 * np.pi * 440 * (channel + 1) * time) for channel in range(channels)]
    return np.rint(16384 * np.stack(waves, 1)).astype(np.int16)


def chunk(name: bytes, content: bytes, size: int | None = None, order: str = "<") -> bytes:
    length = len(content) if size is None else size
    return name + struct.pack(f"{order}I", length) + content + b"\0" * (len(content) % 2)


def wav(
    content: bytes,
    channels: int = 1,
    rate: int = 8000,
    bits: int = 16,
    tag: int = 1,
    order: str = "<",
    size: int | None = None,
    riff: int | None = None,
    before: bytes = b"",
    head: bytes = b"",
    extra: bytes = b"",
) -> bytes:
    """A WAV file around encoded samples; `size` and `riff` are what it says about its length."""
    block = channels * -(-bits // 8)
    description = struct.pack(f"{order}HHIIHH", tag, channels, rate, rate * block, block, bits) + extra
    body = b"WAVE" + before + chunk(b"fmt ", description, None, order) + chunk(b"data", content, size, order)
    name = head or (b"RIFF" if order == "<" else b"RIFX")
    return name + struct.pack(f"{order}I", len(body) if riff is None else riff) + body
