"""Probabilities from logits, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def softmax(logits: NDArray[Any], temperature: float = 1.0, axis: int = -1) -> NDArray[np.float64]:
    """Return the softmax of `logits / temperature` along an axis."""
    shifted_logits = np.asarray(logits, np.float64)
    shifted_logits = (shifted_logits - shifted_logits.max(axis=axis, keepdims=True)) / temperature
    exponentials = np.exp(shifted_logits)
    probabilities: NDArray[np.float64] = exponentials / exponentials.sum(axis=axis, keepdims=True)
    return probabilities


def sigmoid(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Return 1 / (1 + e^-logits), elementwise."""
    return np.asarray(np.exp(-np.logaddexp(0, -np.asarray(logits, np.float64))))
