"""Calibration: a temperature for reliable probabilities, and a threshold below which a model does not know.

Both are fitted on images that the network was not trained on, and stored in the model file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import ModelError
from opsin.tasks.probabilities import softmax

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
"""Bounds of the temperature."""

TARGETS = (0.95, 0.9, 0.8)
"""Shares of right answers to aim for; the first one that the model demonstrably reaches is chosen."""

MIN_COVERAGE = 0.5
"""A target counts only if at least this share of the images still gets an answer (coverage)."""

MIN_THRESHOLD = 0.5
"""A model does not know an answer that is less likely than not."""

Z_95_ONE_SIDED = 1.645
"""The 95% quantile of the standard normal distribution."""


@dataclass(frozen=True)
class Calibration:
    """Probabilities are the softmax of `logits / temperature`; below `threshold` the model does not know.

    Of the `images` that it was fitted on, the share `answered` reached the threshold, and the share `right` of these
    answers was right; `target` is the share to be reached. `threshold` is None if there were too few images, or the
    model is not accurate enough, to reach any target.
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
        """Read what `to_data` wrote; raise `ModelError` for anything else."""
        try:
            shares = [None if data[k] is None else float(data[k]) for k in ("threshold", "target", "answered", "right")]
            calibration = cls(float(data["temperature"]), int(data["images"]), *shares)
        except (KeyError, TypeError, ValueError, OverflowError):
            raise ModelError("its calibration is incomplete") from None
        is_valid = (
            isfinite(calibration.temperature)
            and MIN_TEMPERATURE <= calibration.temperature <= MAX_TEMPERATURE
            and calibration.images >= 0
        )
        if not is_valid or not all(share is None or 0 <= share <= 1 for share in shares):
            raise ModelError("its calibration has invalid values")
        return calibration


def calibrate(logits: NDArray[Any], labels: NDArray[Any]) -> Calibration:
    """Fit temperature and threshold to `logits` (N × classes) and `labels` (N class numbers)."""
    if not len(labels):
        return Calibration(1.0, 0)
    temperature = fit_temperature(logits, labels)
    probabilities = softmax(logits, temperature)
    correct = probabilities.argmax(axis=1) == labels
    return find_threshold(temperature, probabilities.max(axis=1), correct)


def fit_temperature(logits: NDArray[Any], labels: NDArray[Any]) -> float:
    """Find the temperature of lowest cross-entropy (Guo et al., "On calibration of modern neural networks", 2017).

    The cross-entropy is convex in β = 1 / temperature. A normal prior around β = 1, with the weight of one image, keeps
    β finite if every answer is right. The root of the derivative is found by bisection, in float64.
    """
    shifted_logits = np.asarray(logits, np.float64)
    shifted_logits = shifted_logits - shifted_logits.max(axis=1, keepdims=True)
    label_logits = shifted_logits[np.arange(len(labels)), labels]

    def derivative(beta: float) -> float:
        exponentials = np.exp(beta * shifted_logits)
        mean = (exponentials * shifted_logits).sum(axis=1) / exponentials.sum(axis=1)
        return float((mean - label_logits).sum()) + beta - 1

    low, high = 1 / MAX_TEMPERATURE, 1 / MIN_TEMPERATURE
    for _ in range(60):
        middle = sqrt(low * high)
        low, high = (low, middle) if derivative(middle) > 0 else (middle, high)
    return min(MAX_TEMPERATURE, max(MIN_TEMPERATURE, 1 / sqrt(low * high)))


def find_threshold(temperature: float, confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> Calibration:
    """Find the lowest probability above which answers reach the first possible one of `TARGETS`.

    They reach a target if the lower end of the one-sided 95% confidence interval (Wilson 1927) of their accuracy does.
    """
    order = np.argsort(-confidence, kind="stable")
    confidence, right = confidence[order], np.cumsum(correct[order])
    counts = np.arange(1, len(confidence) + 1)
    is_last = np.append(confidence[1:] < confidence[:-1], True)  # images of equal probability stay together
    is_candidate = is_last & (confidence >= MIN_THRESHOLD)
    bounds = lower_bound(right, counts)
    for target in TARGETS:
        reaching = np.flatnonzero(is_candidate & (bounds >= target))
        if len(reaching) and counts[reaching[-1]] >= MIN_COVERAGE * len(confidence):
            last = reaching[-1]
            share, accuracy = counts[last] / len(confidence), right[last] / counts[last]
            threshold = MIN_THRESHOLD if (confidence[last + 1 :] < MIN_THRESHOLD).all() else float(confidence[last])
            return Calibration(temperature, len(confidence), threshold, target, float(share), float(accuracy))
    return Calibration(temperature, len(confidence))


def lower_bound(right: NDArray[Any], counts: NDArray[Any], deviations: float = Z_95_ONE_SIDED) -> NDArray[np.float64]:
    """Return the lower end of Wilson's interval for `right` of `counts`."""
    share, correction = right / counts, deviations**2 / counts
    margin = np.sqrt(correction * (share * (1 - share) + correction / 4))
    bound: NDArray[np.float64] = (share + correction / 2 - margin) / (1 + correction)
    return bound
