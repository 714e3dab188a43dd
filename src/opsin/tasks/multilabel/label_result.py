"""The result of a model for one label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.tasks.multilabel.metrics import average_precision


@dataclass(frozen=True)
class LabelResult:
    """One label: the number of `images` that have it, its average precision, and the scores of its answers.

    The average precision and the recall are NaN without images that have the label, the precision without answers.
    """

    name: str
    images: int
    average_precision: float
    f1: float
    precision: float
    recall: float
    threshold: float

    def to_data(self) -> dict[str, Any]:
        """Return the result for JSON; None for what is NaN."""
        numbers = {
            "average_precision": self.average_precision, "f1": self.f1, "precision": self.precision,
            "recall": self.recall, "threshold": self.threshold,
        }  # fmt: skip
        known = {name: None if np.isnan(value) else value for name, value in numbers.items()}
        return {"name": self.name, "images": self.images, **known}


def label_results(
    names: Sequence[str],
    probabilities: NDArray[np.float64],
    truth: NDArray[np.uint8],
    thresholds: NDArray[np.float64],
) -> tuple[LabelResult, ...]:
    """Return the result of each label; probabilities and truth are N × labels."""
    answers = probabilities >= thresholds
    hits, given = (truth.astype(bool) & answers).sum(axis=0), truth.sum(axis=0, dtype=np.int64)
    answered = answers.sum(axis=0)
    return tuple(
        LabelResult(
            name, int(given[label]), average_precision(truth[:, label], probabilities[:, label]),
            float(2 * hits[label] / max(1, given[label] + answered[label])), _share(hits[label], answered[label]),
            _share(hits[label], given[label]), float(thresholds[label]),
        )
        for label, name in enumerate(names)
    )  # fmt: skip


def _share(hits: int, total: int) -> float:
    return float(hits / total) if total else float("nan")
