"""How reports write shares, bounds and lists."""

from __future__ import annotations

from collections.abc import Sequence

from opsin.report.statistics import Share

SPACE = "\N{NO-BREAK SPACE}"


def percent(value: float) -> str:
    """`88 %`; with a decimal where whole ones would say nothing, and never all or nothing where that is not so."""
    shown = f"{value:.0%}" if 0.02 < value < 0.98 or value in (0, 1) else f"{value:.1%}"
    if shown in ("100.0%", "0.0%"):
        shown = "more than 99.9%" if value > 0.5 else "less than 0.1%"
    return shown.replace("%", f"{SPACE}%")


def between(share: Share) -> str:
    """`between 85 and 91 %`."""
    digits = 1 if share.low < 0.02 or share.high > 0.98 else 0
    low, high = (f"{100 * bound:.{digits}f}".removesuffix(".0") for bound in (share.low, share.high))
    return f"between {low} and {high}{SPACE}%"


def listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
