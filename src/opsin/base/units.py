"""Parse amounts of memory, durations and options as people write them. `base.formatting` is the opposite direction."""

from __future__ import annotations

import re

from opsin.base.errors import UsageError

BYTES = {"": 1, "b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
"""Bytes per unit."""

SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600}
"""Seconds per unit."""


def parse_bytes(text: str) -> int:
    """Return the number of bytes in "500MB", "5 GB", "1.5g" or "0". Raise `UsageError` for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    if not match:
        raise UsageError(f"'{text}' is not an amount of memory; write 500MB, 5GB or 0")
    return round(float(match[1]) * BYTES[match[2]])


def parse_seconds(text: str) -> float:
    """Return the seconds in "90s", "10min" or "1h 30min". Raise `UsageError` for anything else."""
    digits = re.sub(r"\s", "", text.lower())
    terms = re.findall(r"(\d+(?:\.\d+)?)([a-z]+)", digits)
    is_valid = all(unit in SECONDS for _, unit in terms) and "".join(map("".join, terms)) == digits
    seconds = sum(float(number) * SECONDS[unit] for number, unit in terms) if is_valid else 0.0
    if seconds <= 0:
        raise UsageError(f"'{text}' is not a duration; write 90s, 10min or 1h30min")
    return seconds


def parse_input_options(text: str | None) -> dict[str, str]:
    """Return the options of a text such as "rate=8000,seconds=2"; values may hold commas.

    Raise `UsageError` if it is of another form.
    """
    options = {}
    for part in filter(None, map(str.strip, re.split(r",(?=\s*\w+\s*=)", text or ""))):
        name, equals, value = (each.strip() for each in part.partition("="))
        if not (name and equals and value):
            raise UsageError(f"--input-options takes NAME=VALUE pairs such as rate=8000,seconds=2, not '{part}'")
        options[name] = value
    return options
