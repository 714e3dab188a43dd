"""Figures with their uncertainty: what a count of right answers says about images that nobody has seen yet."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.model import Evaluation

TWO_SIDED = 1.959964
"""Standard deviations of the normal distribution around its mean within which 95 % of it lies."""

BINS = 15
"""Of equal width, as in Guo et al., "On calibration of modern neural networks", 2017."""

CHANCES = 400
"""Draws from which the calibration error of a perfectly calibrated model is estimated."""


@dataclass(frozen=True)
class Share:
    """`count` of `total`; `low` and `high` bound the true share with 95 % confidence (Wilson 1927)."""

    count: int
    total: int

    @property
    def value(self) -> float | None:
        """0 to 1; None of nothing."""
        return self.count / self.total if self.total else None

    @property
    def low(self) -> float:
        return self._bounds()[0]

    @property
    def high(self) -> float:
        return self._bounds()[1]

    def _bounds(self) -> tuple[float, float]:
        if not self.total:
            return 0.0, 1.0
        share, extra = self.count / self.total, TWO_SIDED**2 / self.total
        middle, spread = share + extra / 2, sqrt(extra * (share * (1 - share) + extra / 4))
        return max(0.0, (middle - spread) / (1 + extra)), min(1.0, (middle + spread) / (1 + extra))

    def to_data(self) -> dict[str, Any]:
        return {"count": self.count, "total": self.total, "value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class ClassFigures:
    """How a class did: `recall` of its images were found, `precision` of the answers that named it were right."""

    name: str
    recall: Share
    precision: Share

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall: 2 · right / (images + answers), 0 where there are none."""
        both = self.recall.total + self.precision.total
        return 2 * self.recall.count / both if both else 0.0

    def to_data(self) -> dict[str, Any]:
        shares = {"recall": self.recall.to_data(), "precision": self.precision.to_data()}
        return {"name": self.name, **shares, "f1": self.f1}


@dataclass(frozen=True)
class Bin:
    """The answers whose confidence lay between `low` and `high`: their mean `confidence`, and how many were right."""

    low: float
    high: float
    confidence: float
    right: Share


@dataclass(frozen=True)
class Reliability:
    """Whether confidence can be believed: `error` is the expected calibration error over `bins` of equal width.

    `by_chance` is the error that a perfectly calibrated model would have on average on so few images.
    """

    bins: tuple[Bin, ...]
    error: float
    by_chance: float

    def to_data(self) -> dict[str, Any]:
        rows = [
            {"low": b.low, "high": b.high, "confidence": b.confidence, "right": b.right.to_data()} for b in self.bins
        ]
        return {"bins": rows, "error": self.error, "by_chance": self.by_chance}


def class_figures(evaluation: Evaluation) -> tuple[ClassFigures, ...]:
    """Precision and recall of every class, in the order of the classes."""
    confusion = evaluation.confusion
    right, images, answers = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    return tuple(
        ClassFigures(name, Share(int(right[i]), int(images[i])), Share(int(right[i]), int(answers[i])))
        for i, name in enumerate(evaluation.classes)
    )


def reliability(probabilities: NDArray[np.float64], labels: NDArray[Any]) -> Reliability:
    """Of the answers to N images: `probabilities` N × classes, `labels` N.

    The error is Σ over bins of (share of the images) · |share right - mean confidence|.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    place = np.minimum((confidence * BINS).astype(np.intp), BINS - 1)
    bins = []
    for number in range(BINS):
        here = place == number
        if here.any():
            share = Share(int(right[here].sum()), int(here.sum()))
            bins.append(Bin(number / BINS, (number + 1) / BINS, float(confidence[here].mean()), share))
    random = np.random.default_rng(0)  # only for the estimate below; it decides nothing
    chances = [_error(place, confidence, random.random(len(labels)) < confidence) for _ in range(CHANCES)]
    return Reliability(tuple(bins), _error(place, confidence, right), float(np.mean(chances)))


def _error(place: NDArray[np.intp], confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    gaps = np.bincount(place, weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(place))
