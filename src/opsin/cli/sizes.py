"""Amounts of memory as people write them."""

from __future__ import annotations

import re

from opsin.errors import UsageError

UNITS = {"": 1, "b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def parse_bytes(text: str) -> int:
    """The number of bytes in "500MB", "5 GB", "1.5g" or "0"; `UsageError` for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    if not found:
        raise UsageError(f"'{text}' is no amount of memory; write 500MB, 5GB or 0")
    return round(float(found[1]) * UNITS[found[2]])
