"""The labels of images that Mixup or CutMix mixed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opsin.tasks.task import Mixture


def mixed_shares(labels: NDArray[np.int32], mixture: Mixture, classes: int) -> NDArray[np.float32]:
    """Return the shares of the classes, float32 N × classes, in images whose labels were these N class numbers."""
    result = np.empty((len(labels), classes), np.float32)
    for start in range(0, len(labels), mixture.batch):
        rows = slice(start, start + mixture.batch)
        result[rows] = _batch_shares(labels[rows], mixture.remaining[rows], classes)
    return result


def _batch_shares(labels: NDArray[np.int32], remaining: NDArray[np.float64], classes: int) -> NDArray[np.float32]:
    shares = np.zeros((len(labels), classes), np.float32)
    rows = np.arange(len(labels))
    np.add.at(shares, (rows, labels), remaining)
    np.add.at(shares, (rows, np.roll(labels, -1)), 1 - remaining)
    return shares
