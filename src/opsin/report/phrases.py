"""How reports write shares, intervals and lists."""

from __future__ import annotations

from collections.abc import Sequence

from opsin.report.statistics import Share

NBSP = "\N{NO-BREAK SPACE}"


def percent(value: float) -> str:
    """Return `88 %`; near 0 and 1 with a decimal, and never 0 or 100 % unless the value is exactly that."""
    text = f"{value:.0%}" if 0.02 < value < 0.98 or value in (0, 1) else f"{value:.1%}"
    if text in ("100.0%", "0.0%"):
        text = "more than 99.9%" if value > 0.5 else "less than 0.1%"
    return text.replace("%", f"{NBSP}%")


def interval(share: Share) -> str:
    """Return `between 85 and 91 %`."""
    digits = 1 if share.low < 0.02 or share.high > 0.98 else 0
    low, high = (f"{100 * bound:.{digits}f}".removesuffix(".0") for bound in (share.low, share.high))
    return f"between {low} and {high}{NBSP}%"


def join_names(names: Sequence[str]) -> str:
    """Return `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
