"""Outliers: images that are far from all others, by the distance to their nearest neighbours.

After Ramaswamy, Rastogi & Shim, "Efficient algorithms for mining outliers from large data sets" (2000). What counts as
far follows from the median of all distances and their median absolute deviation (Iglewicz & Hoaglin, "How to detect and
handle outliers", 1993).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_SCORE = 3.5
"""The modified z-score above which an image is an outlier, as Iglewicz & Hoaglin recommend."""

MAD_TO_DEVIATION = 1.4826
"""The standard deviation of a normal distribution, divided by its median absolute deviation."""


def outlier_scores(squared: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the modified z-score of each image, by the squared distances to its neighbours (N × neighbours)."""
    distances = np.sqrt(squared).mean(axis=1)
    excess = distances - np.median(distances)
    spread = MAD_TO_DEVIATION * float(np.median(np.abs(excess)))
    scores: NDArray[np.float64] = excess / spread if spread > 0 else np.zeros(len(excess))
    return scores


def find_outliers(scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the numbers of the outliers, the farthest first."""
    order = np.argsort(-scores, kind="stable")
    return order[scores[order] > MAX_SCORE]
