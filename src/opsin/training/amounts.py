"""Durations and sizes as people write them: 10min, 2GB."""

from __future__ import annotations

import math
import re

from opsin.errors import UsageError

SECONDS = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600}
BYTES = {"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


def seconds_of(text: str) -> float:
    """Seconds in "10min", "90s", "1.5h" or "1h30min". Raises `UsageError` for anything else."""
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]+)", text.lower())
    written = "".join(number + unit for number, unit in parts)
    if not parts or written != re.sub(r"\s", "", text.lower()) or any(unit not in SECONDS for _, unit in parts):
        raise UsageError(f"a time is written like 10min, 90s or 1h30min, not '{text}'")
    found = sum(float(number) * SECONDS[unit] for number, unit in parts)
    if not 0 < found < math.inf:
        raise UsageError(f"a time to train in must be above 0, not '{text}'")
    return found


def bytes_of(text: str) -> float:
    """Bytes in "2GB" or "512MiB". Raises `UsageError` for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+)", text.strip().lower())
    if not match or match[2] not in BYTES:
        raise UsageError(f"an amount of memory is written like 2GB or 512MB, not '{text}'")
    found = float(match[1]) * BYTES[match[2]]
    if not found > 0:
        raise UsageError(f"an amount of memory must be above 0, not '{text}'")
    return found


def duration(seconds: float) -> str:
    """About so long: "45 s", "3 min", "2.5 h"."""
    if seconds < 1:
        return "less than a second"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 10 * 60:
        return f"{seconds / 60:.1f} min".replace(".0 ", " ")
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def size(count: float) -> str:
    """About so much: "350 MB", "1.2 GB"."""
    return f"{count / 1e9:.1f} GB" if count >= 999.5e6 else f"{max(1.0, count / 1e6):.0f} MB"
