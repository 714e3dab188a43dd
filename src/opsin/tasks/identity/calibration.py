"""From similarity to the probability that two images show the same, and the threshold for saying so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import exp, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import ModelError

STEPS = 50

MIN_DEVIATION = 1e-6
"""Similarities that differ less are all the same, as those of copies of an image are."""

PRIOR = 1e-3
"""The weight of a normal prior around a slope of 0, for similarities with variance 1: the slope stays finite if all
pairs are told apart."""


@dataclass(frozen=True)
class SameThreshold:
    """Two images show the same with probability 1 / (1 + e^-(`slope` · similarity + `offset`)), if half of pairs do.

    That of `threshold` is one half. Of the `same` and `different` pairs that it was fitted on, the shares
    `false_rejects` and `false_accepts` were wrong.
    """

    threshold: float
    slope: float
    offset: float
    same: int
    different: int
    false_rejects: float
    false_accepts: float

    def probability(self, similarity: float) -> float:
        """Return the probability for a similarity, -1 to 1."""
        return 1 / (1 + exp(-min(700.0, max(-700.0, self.slope * similarity + self.offset))))

    def to_data(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> SameThreshold:
        """Read what `to_data` wrote; raise `ModelError` for anything else."""
        try:
            result = cls(
                float(data["threshold"]), float(data["slope"]), float(data["offset"]), int(data["same"]),
                int(data["different"]), float(data["false_rejects"]), float(data["false_accepts"]),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, OverflowError):
            raise ModelError("its calibration is incomplete") from None
        are_finite = all(map(isfinite, (result.threshold, result.slope, result.offset)))
        are_shares = all(0 <= share <= 1 for share in (result.false_rejects, result.false_accepts))
        if not are_finite or result.slope <= 0 or not are_shares:
            raise ModelError("its calibration has invalid values")
        return result


def fit_threshold(similarities: NDArray[np.floating], same: NDArray[np.bool_]) -> SameThreshold | None:
    """Fit a logistic regression to P pairs, in which same and different pairs count equally; None if it fails.

    It fails if there are no pairs of a kind, or if same pairs are not more alike than others.
    """
    count = int(same.sum())
    if not 0 < count < len(same):
        return None
    mean, scale = float(similarities.mean()), float(similarities.std())
    if scale < MIN_DEVIATION:
        return None
    x, weights = (
        (similarities.astype(np.float64) - mean) / scale,
        np.where(same, 0.5 / count, 0.5 / (len(same) - count)),
    )
    slope, offset = 1.0, 0.0
    for _ in range(STEPS):  # Newton's method
        p = 1 / (1 + np.exp(-np.clip(slope * x + offset, -700, 700)))
        error, curvature = weights * (p - same), weights * p * (1 - p)
        gradient = np.array([(error * x).sum() + PRIOR * slope, error.sum()])
        cross = (curvature * x).sum()
        hessian = np.array([[(curvature * x * x).sum() + PRIOR, cross], [cross, curvature.sum() + 1e-12]])
        step = np.linalg.solve(hessian, gradient)
        slope, offset = slope - float(step[0]), offset - float(step[1])
        if np.abs(step).max() < 1e-9:
            break
    if not (isfinite(slope) and isfinite(offset)) or slope <= 0:
        return None
    slope, offset = slope / scale, offset - slope * mean / scale
    threshold = -offset / slope
    accepted = similarities >= threshold
    return SameThreshold(
        threshold, slope, offset, count, len(same) - count, float((~accepted[same]).mean()),
        float(accepted[~same].mean()),
    )  # fmt: skip
