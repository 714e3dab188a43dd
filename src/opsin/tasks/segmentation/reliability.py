"""Whether the probabilities of pixels agree with how often they are right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.base.intervals import Z_95
from opsin.tasks.segmentation.calibration import confidences
from opsin.tasks.segmentation.coding import IGNORE
from opsin.tasks.segmentation.results import PixelResults

BIN_COUNT = 15
"""Bins of equal width, as in Guo et al. 2017."""


@dataclass(frozen=True)
class Bin:
    """Pixels of similar probability: their mean probability, the share that is right with its bounds, and their share
    of all pixels.
    """

    confidence: float
    right: float
    low: float
    high: float
    weight: float


def reliability(results: PixelResults, temperature: float) -> list[Bin]:
    """Return the bins that hold sampled pixels, in the order of their probability.

    Pixels of an image are not independent: the bounds follow from how the images differ (the variance of a ratio over
    clusters; Cochran, "Sampling techniques", 1977).
    """
    counted = results.labels != IGNORE
    values = confidences(results.logits, temperature)
    correct = results.logits.argmax(-1) == results.labels
    numbers = np.minimum((values * BIN_COUNT).astype(np.intp), BIN_COUNT - 1)
    bins = []
    for number in range(BIN_COUNT):
        members = counted & (numbers == number)
        if members.any():
            totals, right = members.sum(1), (members & correct).sum(1)
            bins.append(_bin(float(values[members].mean()), totals, right, float(totals.sum() / counted.sum())))
    return bins


def _bin(confidence: float, totals: NDArray[np.int64], right: NDArray[np.int64], weight: float) -> Bin:
    share = right.sum() / totals.sum()
    margin = Z_95 * float(np.sqrt(np.square(right - share * totals).sum()) / totals.sum())
    return Bin(confidence, float(share), max(0.0, float(share) - margin), min(1.0, float(share) + margin), weight)


def calibration_error(bins: list[Bin]) -> float:
    """Return the expected calibration error: the mean gap between probability and share of right pixels."""
    return sum(each.weight * abs(each.confidence - each.right) for each in bins)
