"""Durations and sizes in words."""

from __future__ import annotations


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
