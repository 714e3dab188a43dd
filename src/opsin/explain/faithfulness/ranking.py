"""The order in which pixels are removed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter

Ranks = NDArray[np.intp]


def ranks(display: NDArray[np.float64], seed: int) -> Ranks:
    """Return the rank of each pixel of a map, 0 for the most important one; equal values are in random order."""
    values = display.reshape(-1)
    shuffled = random_counter.order(values.size, seed, random_counter.EXPLAIN)
    order = shuffled[np.argsort(-values[shuffled], kind="stable")]
    result = np.empty(values.size, np.intp)
    result[order] = np.arange(values.size)
    return result.reshape(display.shape)
