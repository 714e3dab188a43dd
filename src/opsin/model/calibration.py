"""How far a model's probabilities can be believed: a temperature, and when it should say that it does not know.

Both are fitted on images that the network did not learn from, and are stored in the model file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import ModelError

COLDEST, HOTTEST = 0.05, 20.0
"""Bounds of the temperature."""

TARGETS = (0.95, 0.9, 0.8)
"""The share of answers that should be right, the first that the model can be shown to reach."""

ANSWERED = 0.5
"""A target counts only if at least this share of the images still gets an answer."""

LEAST = 0.5
"""What is less likely than not is never an answer that the model knows."""

ONE_SIDED = 1.645
"""Standard deviations of the normal distribution below which 95 % of it lies."""


@dataclass(frozen=True)
class Calibration:
    """`logits / temperature` give the probabilities; below `threshold` the model does not know.

    On the `images` it was fitted on, the share `answered` had at least that probability, and `right` of these
    answers were right; `target` is the share that was asked for. Without `threshold` the images were too few, or
    the model is not sure enough, to promise anything.
    """

    temperature: float
    images: int
    threshold: float | None = None
    target: float | None = None
    answered: float | None = None
    right: float | None = None

    def to_data(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Calibration:
        """What `to_data` wrote; `ModelError` for anything else."""
        try:
            shares = [None if data[k] is None else float(data[k]) for k in ("threshold", "target", "answered", "right")]
            made = cls(float(data["temperature"]), int(data["images"]), *shares)
        except (KeyError, TypeError, ValueError, OverflowError):
            raise ModelError("its calibration is not described completely") from None
        sound = isfinite(made.temperature) and COLDEST <= made.temperature <= HOTTEST and made.images >= 0
        if not sound or not all(share is None or 0 <= share <= 1 for share in shares):
            raise ModelError("its calibration's numbers make no sense")
        return made


def softmax(logits: NDArray[Any], temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities N × classes of `logits / temperature`, in float64."""
    scaled = np.asarray(logits, np.float64)
    scaled = (scaled - scaled.max(axis=-1, keepdims=True)) / temperature
    shares = np.exp(scaled)
    total: NDArray[np.float64] = shares / shares.sum(axis=-1, keepdims=True)
    return total


def sigmoid(logits: NDArray[Any]) -> NDArray[np.float64]:
    """1 / (1 + e^-logits), each for itself, in float64."""
    return np.asarray(np.exp(-np.logaddexp(0, -np.asarray(logits, np.float64))))


def calibrate(logits: NDArray[Any], labels: NDArray[Any]) -> Calibration:
    """Temperature and threshold, from the `logits` N × classes of images and their `labels` N (column numbers)."""
    if not len(labels):
        return Calibration(1.0, 0)
    temperature = fit_temperature(logits, labels)
    shares = softmax(logits, temperature)
    correct = shares.argmax(axis=1) == labels
    return find_threshold(temperature, shares.max(axis=1), correct)


def fit_temperature(logits: NDArray[Any], labels: NDArray[Any]) -> float:
    """The temperature with the least cross-entropy (Guo et al., "On calibration of modern neural networks", 2017).

    The cross-entropy is convex in β = 1 / temperature. A normal prior around β = 1, of the weight of one image, keeps
    β finite where every answer is right. The root of the derivative is found by bisection, in float64.
    """
    exact = np.asarray(logits, np.float64)
    exact = exact - exact.max(axis=1, keepdims=True)
    chosen = exact[np.arange(len(labels)), labels]

    def slope(beta: float) -> float:
        shares = np.exp(beta * exact)
        mean = (shares * exact).sum(axis=1) / shares.sum(axis=1)
        return float((mean - chosen).sum()) + beta - 1

    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(60):
        middle = sqrt(low * high)
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return min(HOTTEST, max(COLDEST, 1 / sqrt(low * high)))


def find_threshold(temperature: float, confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> Calibration:
    """The least probability from which on answers are right often enough, for the first of `TARGETS` that can be had.

    "Often enough" means that the share of right answers among those at least as probable lies above the target even at
    the lower end of its one-sided 95 % interval (Wilson 1927).
    """
    order = np.argsort(-confidence, kind="stable")
    sure, right = confidence[order], np.cumsum(correct[order])
    counts = np.arange(1, len(sure) + 1)
    ends = np.append(sure[1:] < sure[:-1], True) & (sure >= LEAST)  # images of one probability stay together
    bounds = lower_bound(right, counts)
    for target in TARGETS:
        good = np.flatnonzero(ends & (bounds >= target))
        if len(good) and counts[good[-1]] >= ANSWERED * len(sure):
            last = good[-1]
            share, hits = counts[last] / len(sure), right[last] / counts[last]
            threshold = LEAST if (sure[last + 1 :] < LEAST).all() else float(sure[last])
            return Calibration(temperature, len(sure), threshold, target, float(share), float(hits))
    return Calibration(temperature, len(sure))


def lower_bound(right: NDArray[Any], counts: NDArray[Any], deviations: float = ONE_SIDED) -> NDArray[np.float64]:
    """The lower end of Wilson's interval for `right` of `counts`."""
    share, extra = right / counts, deviations**2 / counts
    spread = np.sqrt(extra * (share * (1 - share) + extra / 4))
    bound: NDArray[np.float64] = (share + extra / 2 - spread) / (1 + extra)
    return bound
