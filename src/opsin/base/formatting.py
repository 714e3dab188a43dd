"""Numbers and lists as text: durations, sizes, percentages, enumerations."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, floor
from typing import Literal

KILO, MEGA, GIGA = 1e3, 1e6, 1e9


def duration(seconds: float) -> str:
    """Return a rough duration: "45 s", "3 min", "2.5 h"."""
    if seconds < 1:
        return "less than a second"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 10 * 60:
        return f"{seconds / 60:.1f} min".replace(".0 ", " ")
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def size(count: float) -> str:
    """Return a rough number of bytes, at least 1 MB: "350 MB", "1.2 GB"."""
    return f"{count / GIGA:.1f} GB" if count >= 999.5 * MEGA else f"{max(1.0, count / MEGA):.0f} MB"


def exact_size(count: float) -> str:
    """Return a number of bytes in the unit that suits it: "812 B", "3.1 kB", "14.2 MB", "1.2 GB"."""
    if count < KILO:
        return f"{count:.0f} B"
    unit, name = (KILO, "kB") if count < MEGA else (MEGA, "MB") if count < GIGA else (GIGA, "GB")
    return f"{count / unit:.1f} {name}"


def megabytes(count: float, rounding: Literal["nearest", "up", "down"] = "nearest") -> str:
    """Return a number of bytes, always in MB so that several can be compared: "3.14 MB", "1,750 MB".

    Round requirements up and limits down, so that a requirement above the limit never reads the same as the limit.
    """
    step, digits = (10**6, 0) if count >= 10**7 else (10**4, 2)
    if rounding == "nearest":
        return f"{count / MEGA:,.{digits}f} MB"
    rounded_count = (ceil if rounding == "up" else floor)(count / step) * step
    return f"{rounded_count / MEGA:,.0f} MB" if rounded_count % 10**6 == 0 else f"{rounded_count / MEGA:g} MB"


def percent(fraction: float, *, digits: int = 1, prose: bool = False) -> str:
    """Return a fraction as a percentage: "98.7%". What is not exactly 0 or 1 never reads as 0% or 100%.

    For running text (`prose`), round to whole percents between 2% and 98%, and write "less than" instead of "<".
    """
    text, step = f"{fraction:.{digits}%}", 10.0**-digits
    if 0 < fraction < 1 and text == f"{0:.{digits}%}":
        return f"{'less than ' if prose else '<'}{step:.{digits}f}%"
    if 0 < fraction < 1 and text == f"{1:.{digits}%}":
        return f"{'more than ' if prose else '>'}{100 - step:.{digits}f}%"
    is_rounded = prose and (0.02 < fraction < 0.98 or fraction in (0, 1))
    return f"{fraction:.0%}" if is_rounded else text


def decimal(value: float, spec: str) -> str:
    """Return a number formatted by `spec`, with a minus sign instead of a hyphen: decimal(-0.14, ".1f") is "−0.1"."""
    return format(value, spec).replace("-", "−")


def listed(names: Iterable[str], limit: int | None = None, *, conjunction: str = "", count: bool = True) -> str:
    """Return names separated by commas: "a, b, c", or with a conjunction "a, b and c".

    Of more than `limit` names, list the first and, with `count`, say how many there are: "a, b, … (12 in total)".
    """
    items = list(names)
    if limit is not None and len(items) > limit:
        return f"{', '.join(items[:limit])}, …" + (f" ({len(items):,} in total)" if count else "")
    if conjunction and len(items) > 1:
        return f"{', '.join(items[:-1])} {conjunction} {items[-1]}"
    return ", ".join(items)


def counted(count: int, word: str) -> str:
    """Return a number with its noun: "1 image", "3,781 images"."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
