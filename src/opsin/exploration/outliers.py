"""Outliers: images that are far from all others, by the distance to their nearest neighbours.

The distance to the k-th nearest neighbour counts (Ramaswamy, Rastogi & Shim, "Efficient algorithms for mining outliers
from large data sets", 2000), so that a few odd images which are like each other are outliers, too. What is far follows
from the median of all distances and their median absolute deviation, by the modified z-score (Iglewicz & Hoaglin, "How
to detect and handle outliers", 1993).
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

MAX_SCORE = 2.5
"""The modified z-score above which an image is an outlier.

`bench/explore.py` measures it. Images of another kind are above it, but few above 3.5, the score that Iglewicz &
Hoaglin recommend: distances in many dimensions vary little."""

MIN_NEIGHBOURS, MAX_NEIGHBOURS = 5, 20
"""Bounds of k, which is the root of the number of images."""

MAD_TO_DEVIATION = 1.4826
"""The standard deviation of a normal distribution, divided by its median absolute deviation."""


def outlier_scores(squared: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the modified z-score of each image, by the squared distances to its neighbours (N × k, nearest first)."""
    count = min(max(MIN_NEIGHBOURS, min(MAX_NEIGHBOURS, round(sqrt(len(squared))))), squared.shape[1])
    distances = np.sqrt(squared[:, count - 1])
    excess = distances - np.median(distances)
    spread = MAD_TO_DEVIATION * float(np.median(np.abs(excess)))
    scores: NDArray[np.float64] = excess / spread if spread > 0 else np.zeros(len(excess))
    return scores


def find_outliers(scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the numbers of the outliers, the farthest first."""
    order = np.argsort(-scores, kind="stable")
    return order[scores[order] > MAX_SCORE]
