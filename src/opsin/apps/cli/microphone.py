"""Record from a microphone with sounddevice, which is not installed with Opsin."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from opsin.base.errors import DataError, UsageError
from opsin.base.optional import require

PREFIX = "microphone"


def is_microphone(source: str) -> bool:
    """Return whether a source is the default microphone, "microphone", or a device by number or name,
    "microphone:2"."""
    return source == PREFIX or source.startswith(f"{PREFIX}:")


def recording(source: str, rate: int, block: int, on_block: Callable[[bytes], None]) -> AbstractContextManager[Any]:
    """Return an open stream of one channel, 16 bits, that calls `on_block` with the bytes of `block` samples.

    Raise `UsageError` without sounddevice, and `DataError` if the device does not exist or has no such rate.
    """
    text = "a microphone needs sounddevice: pip install 'opsin[microphone]', or pipe raw samples into the command"
    try:
        sounddevice = require("sounddevice", UsageError, text)
    except OSError as error:  # the library of the system, PortAudio
        raise UsageError(f"{text} ({error})") from None
    _, _, device = source.partition(":")

    def callback(data: Any, frames: int, time: Any, status: Any) -> None:
        on_block(bytes(data))

    try:
        stream: AbstractContextManager[Any] = sounddevice.RawInputStream(
            samplerate=rate, blocksize=block, device=int(device) if device.isdecimal() else device or None,
            channels=1, dtype="int16", callback=callback,
        )  # fmt: skip
    except (sounddevice.PortAudioError, ValueError) as error:
        raise DataError(f"{source} cannot be recorded at {rate:,} Hz: {error}; see `python -m sounddevice`") from None
    return stream
