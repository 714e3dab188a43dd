"""The learning curve of a plan: its score on the same images after training on parts of the training images.

The error, 1 minus the main metric, usually falls as a power of the number of training images (Hestness et al., "Deep
learning scaling is predictable, empirically", 2017). Three points say how steep it is, and how well a power fits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import log2, sqrt
from typing import Any

import numpy as np

SUBSETS = ((1 / 4, "a quarter"), (1 / 2, "half"))
"""The shares of the training images that the plan is trained on besides all of them, and what they are called."""

TRAININGS = 1 + len(SUBSETS)
"""The trainings of a learning curve, that of the model included. All have as many steps."""

MAX_EXPONENT = 1.0
"""The largest exponent that is believed. With it, twice as many images halve the error."""

TRAINING_SPREAD = 0.07
"""An allowance for chance: the binary logarithm of the error differs by about this much (5% of the error) between
trainings with other seeds. One curve cannot measure it."""

CONFIDENCE = 2.0
"""Standard errors on each side of the exponent: about 95%."""

MIN_ERROR = 1e-6
"""Errors are at least this large, because logarithms are taken."""

KEY = "learning_curve"
"""The name of the curve in a model's training record, and of the option."""


@dataclass(frozen=True)
class CurvePoint:
    """The main metric after training on `images` images.

    `without` are its values when a group of the measured images is left out, for each group: they say how much the
    metric depends on the images that it is measured on.
    """

    images: int
    value: float
    without: tuple[float, ...] = ()

    @property
    def error(self) -> float:
        """1 minus the metric."""
        return max(MIN_ERROR, 1 - self.value)


@dataclass(frozen=True)
class Forecast:
    """The value of the metric after one training with twice as many images, with its bounds.

    `is_certain` says whether the exponent is above 0, so that more images help on the average of several trainings.
    """

    value: float
    low: float
    high: float
    is_certain: bool


@dataclass(frozen=True)
class DataCurve:
    """Points for 1/4, 1/2 and all of the training images, measured by `metric` on `measured` other images."""

    metric: str
    measured: int
    points: tuple[CurvePoint, ...]

    @property
    def doublings(self) -> tuple[float, float]:
        """The exponents between a quarter and half of the images, and between half and all of them."""
        return _exponents([point.error for point in self.points])

    def forecast(self) -> Forecast:
        """Extrapolate to twice as many images.

        The exponent is that of the least-squares power law. Its bounds allow for the deviation from a power law, for
        chance in training, and for the images that the metric is measured on, by the jackknife: these images are the
        same for all points, so that most of their influence cancels. If the second doubling brought less than the
        first one, the lower bound lets the gain go on shrinking at this rate. The bounds of the value allow for chance
        in the last training and in the next one, too.
        """
        first, second = self.doublings
        exponent = (first + second) / 2
        systematic = ((first - second) / 2) ** 2 + (CONFIDENCE * self._standard_error()) ** 2
        chance = (CONFIDENCE * TRAINING_SPREAD) ** 2
        slope, half = sqrt(systematic + chance / 2), sqrt(systematic + chance * 5 / 2)
        low = exponent - half
        if 0 < second < first:
            low = min(low, second**2 / first)
        return Forecast(self._after(exponent), self._after(low), self._after(exponent + half), exponent > slope)

    def _after(self, exponent: float) -> float:
        """Return the metric after a doubling with this exponent."""
        return float(1 - self.points[-1].error * 2.0 ** -min(max(exponent, -MAX_EXPONENT), MAX_EXPONENT))

    def _standard_error(self) -> float:
        """Return the exponent's standard error that is due to the measured images (delete-a-group jackknife)."""
        groups = list(zip(*(point.without for point in self.points), strict=True))
        if len(groups) < 2:
            return 0.0
        errors = [[max(MIN_ERROR, 1 - value) for value in values] for values in groups]
        exponents = np.array([sum(_exponents(each)) / 2 for each in errors])
        return float(np.sqrt((len(groups) - 1) * exponents.var()))

    def to_data(self) -> dict[str, Any]:
        """Return the curve and its forecast for JSON."""
        points = [{"images": each.images, "value": each.value, "without": list(each.without)} for each in self.points]
        forecast = asdict(self.forecast())
        return {"metric": self.metric, "measured": self.measured, "points": points, "twice_as_many": forecast}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> DataCurve | None:
        """Return the curve that `to_data` wrote; None for anything else."""
        try:
            points = tuple(point_from_data(point) for point in data["points"])
            curve = cls(str(data["metric"]), int(data["measured"]), points)
        except (KeyError, TypeError, ValueError):
            return None
        return curve if len(points) == TRAININGS else None


def point_from_data(data: Mapping[str, Any]) -> CurvePoint:
    """Return a point as JSON has it. Raise `KeyError`, `TypeError` or `ValueError` for anything else."""
    return CurvePoint(int(data["images"]), float(data["value"]), tuple(map(float, data["without"])))


def _exponents(errors: Sequence[float]) -> tuple[float, float]:
    """Return the exponents of two doublings of the images."""
    quarter, half, whole = errors
    return log2(quarter / half), log2(half / whole)
