"""Which items of a long series a page shows."""

from __future__ import annotations

import numpy as np


def evenly(count: int, most: int) -> list[int]:
    """Return at most `most` of the numbers below `count`, spread evenly, with the first and the last."""
    return [int(number) for number in np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))]
