"""Options by which a kind of input reads whole samples, for tasks whose answers are about all of each."""

from __future__ import annotations

from typing import Any

from opsin.base.errors import DataError
from opsin.inputs.kind import Files
from opsin.inputs.registry import SOUND
from opsin.inputs.sound.decode import sound_info

MAX_SECONDS = 60.0
"""Longer recordings are cut here: all others would be filled up with silence to the same length."""

QUANTILE, MAX_RATIO = 0.98, 3.0
"""Nor are they read for longer than so many times the length of nearly all others: a header may be wrong."""


def whole_options(kind: str, files: Files) -> dict[str, Any]:
    """Return the options of `InputKind.fitted` with which no file is cut; nothing for kinds without a length."""
    if kind != SOUND:
        return {}
    seconds = sorted(found for number in range(len(files.names)) if (found := _seconds(files, number)))
    if not seconds:
        return {}
    usual = seconds[int(QUANTILE * (len(seconds) - 1))]
    return {"seconds": min(MAX_SECONDS, MAX_RATIO * usual, seconds[-1])}


def _seconds(files: Files, number: int) -> float:
    """Return the length of a recording; 0 if it cannot be read."""
    try:
        return sound_info(files.read(number), files.names[number]).seconds
    except DataError:
        return 0.0
