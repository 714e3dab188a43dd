"""Text and numbers of annotation files, read without trust."""

from __future__ import annotations

import math
import re

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,4})?", re.ASCII | re.IGNORECASE)


def decode(data: bytes) -> str:
    """Return bytes as text: UTF-8, UTF-16 if it begins so, otherwise Windows-1252. Never fails."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def number(text: object) -> float:
    """Return the number that a text or a JSON value holds; NaN if it is none, or not finite."""
    if isinstance(text, bool) or text is None:
        return math.nan
    if isinstance(text, int | float):
        return _finite(text)
    stripped = str(text)[:64].strip()
    return _finite(float(stripped)) if NUMBER.fullmatch(stripped) else math.nan


def _finite(value: float) -> float:
    try:
        return float(value) if math.isfinite(value) else math.nan
    except OverflowError:  # an integer beyond float64
        return math.nan


def integer(text: object) -> int | None:
    """Return the whole number that a text or a JSON value holds ("3", 3, 3.0); None if it is none."""
    value = number(text)
    return int(value) if math.isfinite(value) and value == math.floor(value) and abs(value) < 2**53 else None


def is_true(text: object) -> bool:
    """Return whether a flag is set: 1, "1", "true", "yes"."""
    return text is True or str(text)[:8].strip().lower() in ("1", "1.0", "true", "yes")
