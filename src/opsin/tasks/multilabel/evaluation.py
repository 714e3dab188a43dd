"""The result of a model on images with several labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.tasks.multilabel.metrics import average_precision, f1_scores, label_ranking_average_precision
from opsin.tasks.score import Score

MEAN_AVERAGE_PRECISION = "mean_average_precision"


@dataclass(frozen=True, eq=False)
class LabelResult:
    """One label: the number of `images` that have it, its average precision (NaN without images), and its F1 score."""

    name: str
    images: int
    average_precision: float
    f1: float
    threshold: float


@dataclass(frozen=True, eq=False)
class MultiLabelEvaluation:
    """The result of a model on `images` images.

    `loss` is the mean binary cross-entropy in nats. `mean_average_precision` is the mean over the labels that occur.
    """

    images: int
    loss: float
    mean_average_precision: float
    label_ranking_average_precision: float
    f1: float
    macro_f1: float
    exact: float
    labels: tuple[LabelResult, ...]

    @classmethod
    def of(
        cls,
        names: tuple[str, ...],
        probabilities: NDArray[np.float64],
        truth: NDArray[np.uint8],
        thresholds: NDArray[np.float64],
        loss: float,
    ) -> MultiLabelEvaluation:
        """Evaluate probabilities (N × labels) of images with these labels (N × labels zeros and ones)."""
        answers = probabilities >= thresholds
        micro, macro, each = f1_scores(truth, answers)
        precisions = [average_precision(true, row) for true, row in zip(truth.T, probabilities.T, strict=True)]
        rows = zip(names, truth.sum(axis=0, dtype=np.int64), precisions, each, thresholds, strict=True)
        labels = tuple(LabelResult(name, int(n), p, float(f), float(t)) for name, n, p, f, t in rows)
        occurring = [value for value in precisions if not np.isnan(value)]
        return cls(
            len(truth), loss, float(np.mean(occurring)) if occurring else 0.0,
            label_ranking_average_precision(truth, probabilities), micro, macro,
            float((answers == truth.astype(bool)).all(axis=1).mean()), labels,
        )  # fmt: skip

    @property
    def score(self) -> Score:
        """The mean average precision, the ranking's average precision and the F1 score."""
        return Score(self.images, self.loss, {
            MEAN_AVERAGE_PRECISION: self.mean_average_precision,
            "label_ranking_average_precision": self.label_ranking_average_precision,
            "f1": self.f1,
        })  # fmt: skip

    def to_data(self) -> dict[str, Any]:
        """Return everything for JSON; a label without images has no average precision."""
        return {
            "images": self.images, "loss": self.loss, "mean_average_precision": self.mean_average_precision,
            "label_ranking_average_precision": self.label_ranking_average_precision, "f1": self.f1,
            "macro_f1": self.macro_f1, "exact": self.exact,
            "labels": [
                {"name": each.name, "images": each.images, "f1": each.f1, "threshold": each.threshold,
                 "average_precision": None if np.isnan(each.average_precision) else each.average_precision}
                for each in self.labels
            ],
        }  # fmt: skip

    def __str__(self) -> str:
        return f"mean average precision {self.mean_average_precision:.3f}, F1 {self.f1:.3f} on {self.images:,} images"
