"""Scores: what a run compares its epochs by, the same for every task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import Any

from opsin.base.formatting import percent

R2 = "r2"
"""The coefficient of determination, the only metric that is no share."""

ACCURACY, BALANCED_ACCURACY = "accuracy", "balanced_accuracy"

ACRONYMS = {
    "ap": "AP",
    "ap50": "AP50",
    "ap75": "AP75",
    "iou": "IoU",
    "dice": "Dice",
    "f1": "F1",
    "r2": "R²",
    "roc": "ROC",
    "mae": "MAE",
}
"""Words in the names of metrics that are not written in small letters."""


def readable(name: str) -> str:
    """Return the name of a metric for people, such as "mean IoU" for "mean_iou"."""
    return " ".join(ACRONYMS.get(word, word) for word in name.split("_"))


@dataclass(frozen=True, eq=True)
class Score:
    """The result of a model on `images` images, with this mean `loss`.

    `metrics` are the task's by name, such as "accuracy": 0.9; the first one is its main one. Higher is better for all
    of them.
    """

    images: int
    loss: float
    metrics: Mapping[str, float]

    @property
    def main(self) -> str:
        """The name of the main metric."""
        return next(iter(self.metrics))

    @property
    def value(self) -> float:
        """The main metric."""
        return self.metrics[self.main]

    def text(self, name: str | None = None) -> str:
        """Return a metric, by default the main one, such as "mean IoU 71.3%"."""
        name = name or self.main
        return f"{readable(name)} {metric_value(name, self.metrics[name])}"

    @property
    def accuracy(self) -> float:
        """The share of the images that a classifier gets right, 0 to 1; NaN for other tasks."""
        return self.metrics.get(ACCURACY, nan)

    @property
    def correct(self) -> int:
        """The number of images that a classifier gets right."""
        return round(self.accuracy * self.images)

    @property
    def balanced(self) -> float | None:
        """The balanced accuracy of a classifier, the mean of its classes' accuracies; None if it is not known."""
        return self.metrics.get(BALANCED_ACCURACY)

    def to_data(self) -> dict[str, Any]:
        """Return the score as JSON has it; that of a classifier also with the keys of Opsin 0.1.0."""
        data: dict[str, Any] = {"images": self.images, "loss": self.loss, "metrics": dict(self.metrics)}
        if ACCURACY not in self.metrics:
            return data
        return data | {"correct": self.correct, "balanced": self.balanced}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Score:
        """Return what `to_data` wrote, also in Opsin 0.1.0. Raise `KeyError` or `TypeError` for anything else."""
        if "metrics" in data:
            return cls(int(data["images"]), float(data["loss"]), dict(data["metrics"]))
        return cls.of_classifier(data["images"], data["correct"], data["loss"], data.get("balanced"))

    @classmethod
    def of_classifier(cls, images: int, correct: int, loss: float, balanced: float | None) -> Score:
        """Return the score of a classifier with `correct` right answers."""
        metrics = {ACCURACY: correct / images}
        return cls(images, loss, metrics if balanced is None else metrics | {BALANCED_ACCURACY: balanced})


def metric_value(name: str, value: float) -> str:
    """Return the value of a metric as text: a percentage, or a number if it is no share."""
    return f"{value:.3f}" if name == R2 else percent(value)
