"""Intervals that hold the true number with a given probability, by split-conformal prediction.

The margin is a quantile of the errors on images that the network was not trained on (Lei et al., "Distribution-free
predictive inference for regression", 2018). If new images are like these, the interval holds the truth with at least
the stated probability, whatever the distribution of the errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import ceil, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import ModelError

LEVEL = 0.9
"""The probability with which an interval holds the true number."""


@dataclass(frozen=True)
class Intervals:
    """The true number lies within the `margins` of the prediction with probability `level`; fitted to `images`."""

    margins: tuple[float, ...]
    images: int
    level: float = LEVEL

    def to_data(self) -> dict[str, Any]:
        """Return the intervals for JSON."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any], quantities: int) -> Intervals:
        """Read what `to_data` wrote. Raise `ModelError` for anything else."""
        try:
            margins = tuple(float(value) for value in data["margins"])
            result = cls(margins, int(data["images"]), float(data["level"]))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise ModelError("its calibration is incomplete") from None
        if len(margins) != quantities or not all(isfinite(value) and value >= 0 for value in margins):
            raise ModelError("its calibration has invalid margins")
        return result


def fit_intervals(predictions: NDArray[np.float64], truth: NDArray[np.float64]) -> Intervals | None:
    """Return the intervals for errors on N images (N × quantities); None if there are too few images for any."""
    rank = ceil((len(truth) + 1) * LEVEL)
    if rank > len(truth):
        return None
    errors = np.sort(np.abs(predictions - truth), axis=0)
    return Intervals(tuple(float(value) for value in errors[rank - 1]), len(truth))
