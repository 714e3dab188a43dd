"""How reports write shares, intervals and lists."""

from __future__ import annotations

from functools import partial

from opsin.base import formatting
from opsin.report.statistics import Share

percent = partial(formatting.percent, prose=True)


def interval(share: Share) -> str:
    """Return `between 85 and 91%`."""
    digits = 1 if share.low < 0.02 or share.high > 0.98 else 0
    low, high = (f"{100 * bound:.{digits}f}".removesuffix(".0") for bound in (share.low, share.high))
    return f"between {low} and {high}%"
