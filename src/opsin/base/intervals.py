"""Confidence intervals of shares."""

from __future__ import annotations

from math import sqrt

Z_95 = 1.959964
"""The 97.5% quantile of the standard normal distribution, for two-sided 95% intervals."""


def share_interval(count: int, total: int) -> tuple[float, float]:
    """Return the bounds of the true share of which `count` of `total` is a sample, with 95% confidence (Wilson 1927).

    Without a sample they are 0 and 1.
    """
    if not total:
        return 0.0, 1.0
    share, correction = count / total, Z_95**2 / total
    centre = share + correction / 2
    margin = sqrt(correction * (share * (1 - share) + correction / 4))
    return max(0.0, (centre - margin) / (1 + correction)), min(1.0, (centre + margin) / (1 + correction))
