"""What a model says: of one picture (`Prediction`) and about itself (`Evaluation`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Prediction:
    """The likeliest label of a picture, its probability (0 to 1), and all labels, likeliest first."""

    label: str
    probability: float
    ranked: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, logits: NDArray[np.float32], labels: tuple[str, ...]) -> Prediction:
        """Softmax of one picture's logits, in float64."""
        shifted = np.exp(logits.astype(np.float64) - logits.max())
        probabilities = shifted / shifted.sum()
        order = np.argsort(-probabilities, kind="stable")
        ranked = tuple((labels[i], float(probabilities[i])) for i in order)
        return cls(*ranked[0], ranked)

    def __str__(self) -> str:
        return f"{self.label} ({self.probability:.1%})"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How a model did on labelled pictures.

    `confusion[i, j]` counts the pictures of class i that were taken for class j; `loss` is the
    mean cross-entropy in nats.
    """

    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    loss: float

    @classmethod
    def of(cls, logits: NDArray[np.float32], labels: NDArray[np.int32], classes: tuple[str, ...]) -> Evaluation:
        count = len(classes)
        pairs = labels.astype(np.int64) * count + logits.argmax(axis=1)
        confusion = np.bincount(pairs, minlength=count * count).reshape(count, count)
        exact = logits.astype(np.float64)
        exact -= exact.max(axis=1, keepdims=True)
        losses = np.log(np.exp(exact).sum(axis=1)) - exact[np.arange(len(labels)), labels]
        return cls(classes, confusion.astype(np.int64), float(losses.mean()))

    @property
    def pictures(self) -> int:
        return int(self.confusion.sum())

    @property
    def correct(self) -> int:
        return int(self.confusion.trace())

    @property
    def accuracy(self) -> float:
        """The share of the pictures whose label was found, 0 to 1."""
        return self.correct / self.pictures

    def mistakes(self) -> list[tuple[str, str, int]]:
        """(class, taken for, how often), most frequent first."""
        rows = [
            (self.classes[i], self.classes[j], int(self.confusion[i, j]))
            for i, j in np.argwhere(self.confusion)
            if i != j
        ]
        return sorted(rows, key=lambda row: -row[2])

    def __str__(self) -> str:
        wrong = self.pictures - self.correct
        return f"{self.accuracy:.2%} of {self.pictures:,} pictures right ({wrong:,} wrong)"
