"""Amounts of memory and time as people write them."""

from __future__ import annotations

import re

from opsin.base.errors import UsageError

UNITS = {"": 1, "b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def parse_bytes(text: str) -> int:
    """The number of bytes in "500MB", "5 GB", "1.5g" or "0"; `UsageError` for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    if not found:
        raise UsageError(f"'{text}' is no amount of memory; write 500MB, 5GB or 0")
    return round(float(found[1]) * UNITS[found[2]])


SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600}


def parse_seconds(text: str) -> float:
    """The seconds in "90s", "10min" or "1h 30min"; `UsageError` for anything else."""
    given = re.sub(r"\s", "", text.lower())
    parts = re.findall(r"(\d+(?:\.\d+)?)([a-z]+)", given)
    known = all(unit in SECONDS for _, unit in parts) and "".join(number + unit for number, unit in parts) == given
    seconds = sum(float(number) * SECONDS[unit] for number, unit in parts) if known else 0.0
    if seconds <= 0:
        raise UsageError(f"'{text}' is no time; write 90s, 10min or 1h30min")
    return seconds
