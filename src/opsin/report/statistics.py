"""Shares with their confidence intervals, precision and recall, and the calibration error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.intervals import share_interval
from opsin.model import Evaluation

BIN_COUNT = 15
"""Bins of equal width, as in Guo et al., "On calibration of modern neural networks", 2017."""

SIMULATIONS = 400
"""Draws to estimate the calibration error of a perfectly calibrated model."""


@dataclass(frozen=True)
class Share:
    """`count` of `total`; `low` and `high` bound the true share with 95% confidence (Wilson 1927)."""

    count: int
    total: int

    @property
    def value(self) -> float | None:
        """The share, 0 to 1; None if the total is 0."""
        return self.count / self.total if self.total else None

    @property
    def low(self) -> float:
        return share_interval(self.count, self.total)[0]

    @property
    def high(self) -> float:
        return share_interval(self.count, self.total)[1]

    def to_data(self) -> dict[str, Any]:
        return {"count": self.count, "total": self.total, "value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class ClassFigures:
    """Recall (the share of a class's images that are recognised) and precision (the share of right answers)."""

    name: str
    recall: Share
    precision: Share

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall: 2 · right / (images + answers), 0 if there are none."""
        total = self.recall.total + self.precision.total
        return 2 * self.recall.count / total if total else 0.0

    def to_data(self) -> dict[str, Any]:
        shares = {"recall": self.recall.to_data(), "precision": self.precision.to_data()}
        return {"name": self.name, **shares, "f1": self.f1}


@dataclass(frozen=True)
class Bin:
    """The answers with a probability between `low` and `high`: their mean `confidence`, and how many were right."""

    low: float
    high: float
    confidence: float
    right: Share


@dataclass(frozen=True)
class Reliability:
    """The expected calibration error over `bins` of equal width.

    `by_chance` is the mean error of a perfectly calibrated model on as many images.
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
    """Return precision and recall of every class, in the order of the classes."""
    confusion = evaluation.confusion
    right, images, answers = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    return tuple(
        ClassFigures(name, Share(int(right[i]), int(images[i])), Share(int(right[i]), int(answers[i])))
        for i, name in enumerate(evaluation.classes)
    )


def reliability(probabilities: NDArray[np.float64], labels: NDArray[Any]) -> Reliability:
    """Measure the calibration of `probabilities` (N × classes) for images with these `labels` (N).

    The error is Σ over bins of (share of the images) · |accuracy - mean confidence|.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bin_of = np.minimum((confidence * BIN_COUNT).astype(np.intp), BIN_COUNT - 1)
    bins = []
    for number in range(BIN_COUNT):
        members = bin_of == number
        if members.any():
            share = Share(int(right[members].sum()), int(members.sum()))
            bins.append(Bin(number / BIN_COUNT, (number + 1) / BIN_COUNT, float(confidence[members].mean()), share))
    random = np.random.default_rng(0)  # used only for the following estimate
    errors = [_error(bin_of, confidence, random.random(len(labels)) < confidence) for _ in range(SIMULATIONS)]
    return Reliability(tuple(bins), _error(bin_of, confidence, right), float(np.mean(errors)))


def _error(bin_of: NDArray[np.intp], confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    gaps = np.bincount(bin_of, weights=right - confidence, minlength=BIN_COUNT)
    return float(np.abs(gaps).sum() / len(bin_of))
