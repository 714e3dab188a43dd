"""Which of many things are taken if only some are: evenly spaced ones, because neighbours are often alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def spread(total: int, count: int) -> NDArray[np.intp]:
    """Return `count` evenly spaced indices below `total`, or all."""
    return np.arange(total) if count >= total else np.arange(count) * total // count
