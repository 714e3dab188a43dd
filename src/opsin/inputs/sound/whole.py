"""The length of recordings for tasks whose answers are about all of each, such as transcription."""

from __future__ import annotations

from opsin.base.errors import DataError
from opsin.inputs.kind import Files
from opsin.inputs.sound.decode import sound_info

MAX_SECONDS = 60.0
"""Longer recordings are cut here: all others would be filled up with silence to the same length."""

QUANTILE, MAX_RATIO = 0.98, 3.0
"""Nor are they read for longer than so many times the length of nearly all others: a header may be wrong."""


def whole_seconds(files: Files) -> float | None:
    """Return the seconds with which no recording is cut, except extreme ones; None if none can be read."""
    seconds = sorted(found for number in range(len(files.names)) if (found := _seconds(files, number)))
    if not seconds:
        return None
    usual = seconds[int(QUANTILE * (len(seconds) - 1))]
    return min(MAX_SECONDS, MAX_RATIO * usual, seconds[-1])


def _seconds(files: Files, number: int) -> float:
    """Return the length of a recording; 0 if it cannot be read."""
    try:
        return sound_info(files.read(number), files.names[number]).seconds
    except DataError:
        return 0.0
