"""The thresholds above which labels are given, chosen on images that the network was not trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import ModelError
from opsin.tasks.multilabel.metrics import best_threshold
from opsin.tasks.probabilities import sigmoid

MIN_POSITIVES = 10
"""With fewer images of a label, its threshold stays at 0.5: the best one would be a matter of chance."""


@dataclass(frozen=True)
class LabelThresholds:
    """A label is given if its probability is at least its threshold. Fitted to so many `images`."""

    thresholds: tuple[float, ...]
    images: int

    def to_data(self) -> dict[str, Any]:
        """Return the thresholds for JSON."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any], labels: int) -> LabelThresholds:
        """Read what `to_data` wrote. Raise `ModelError` for anything else."""
        try:
            thresholds = tuple(float(value) for value in data["thresholds"])
            result = cls(thresholds, int(data["images"]))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise ModelError("its calibration is incomplete") from None
        if len(thresholds) != labels or not all(isfinite(value) and 0 <= value <= 1 for value in thresholds):
            raise ModelError("its calibration has invalid thresholds")
        return result


def fit_thresholds(logits: NDArray[Any], truth: NDArray[np.uint8]) -> LabelThresholds:
    """Return the thresholds with the best F1 score of each label (N × labels)."""
    probabilities = sigmoid(logits)
    columns = zip(truth.T, probabilities.T, strict=True)
    thresholds = (best_threshold(true, row) if true.sum() >= MIN_POSITIVES else 0.5 for true, row in columns)
    return LabelThresholds(tuple(thresholds), len(truth))
