"""Results of a model: the prediction for one image, and its evaluation on many."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.tasks.classification.calibration import Calibration
from opsin.tasks.probabilities import softmax
from opsin.tasks.score import Score


@dataclass(frozen=True)
class Prediction:
    """The most probable label of an image, its probability (0 to 1), and the `ranking` of labels by probability.

    The probabilities of an `independent` model need not add up to 1, and `labels` are all that reach their thresholds.
    `reliable` is whether the probability reaches the model's threshold; None if the model has none.
    """

    label: str
    probability: float
    ranking: tuple[tuple[str, float], ...]
    reliable: bool | None = None
    independent: bool = False
    labels: tuple[str, ...] | None = None

    @classmethod
    def from_logits(
        cls,
        logits: NDArray[np.float32],
        labels: tuple[str, ...],
        calibration: Calibration | None = None,
        top: int | None = None,
    ) -> Prediction:
        """Convert one image's logits to probabilities, in float64, with the calibration's temperature and threshold.

        `top` limits the ranking.
        """
        probabilities = softmax(logits, calibration.temperature if calibration else 1.0)
        order = np.argsort(-probabilities, kind="stable")[:top]
        ranking = tuple((labels[i], float(probabilities[i])) for i in order)
        threshold = calibration.threshold if calibration else None
        return cls(*ranking[0], ranking, None if threshold is None else ranking[0][1] >= threshold)

    @classmethod
    def of_independent(
        cls,
        probabilities: NDArray[np.float64],
        labels: tuple[str, ...],
        thresholds: NDArray[np.float64],
        top: int | None = None,
    ) -> Prediction:
        """Return the prediction for independent probabilities, one per label. `top` limits the ranking."""
        order = np.argsort(-probabilities, kind="stable")
        ranking = tuple((labels[i], float(probabilities[i])) for i in order[:top])
        answered = tuple(labels[i] for i in order if probabilities[i] >= thresholds[i])
        return cls(*ranking[0], ranking, None, True, answered)

    def to_data(self) -> dict[str, Any]:
        """Return the answer for JSON, with the keys of Opsin 0.1.0."""
        ranked = [{"label": label, "probability": probability} for label, probability in self.ranking]
        reliability = {} if self.reliable is None else {"known": self.reliable}
        labels = {} if self.labels is None else {"labels": list(self.labels)}
        return {"label": self.label, "probability": self.probability, **reliability, **labels, "ranked": ranked}

    @property
    def known(self) -> bool | None:
        """The name of `reliable` in Opsin 0.1.0."""
        _warn_renamed("known", "reliable")
        return self.reliable

    @property
    def ranked(self) -> tuple[tuple[str, float], ...]:
        """The name of `ranking` in Opsin 0.1.0."""
        _warn_renamed("ranked", "ranking")
        return self.ranking

    def summary(self) -> str:
        """Return the answer in a few words."""
        return str(self)

    def __str__(self) -> str:
        if self.labels is None:
            return f"{self.label} ({self.probability:.1%})"
        answered = [f"{label} ({value:.1%})" for label, value in self.ranking if label in self.labels]
        return ", ".join(answered) or "no label"


def _warn_renamed(old: str, new: str) -> None:
    text = f"Prediction.{old} is now Prediction.{new}; the old name goes with the next release"
    warnings.warn(text, DeprecationWarning, stacklevel=3)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The results of a model on labelled images.

    `confusion[i, j]` counts the images of class i that were classified as class j; `loss` is the mean cross-entropy
    in nats.
    """

    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    loss: float

    @classmethod
    def from_probabilities(
        cls, probabilities: NDArray[np.float64], labels: NDArray[np.int32], classes: tuple[str, ...]
    ) -> Evaluation:
        """Evaluate probabilities (N × classes) of images with these `labels` (N class numbers)."""
        count = len(classes)
        pairs = labels.astype(np.int64) * count + probabilities.argmax(axis=1)
        confusion = np.bincount(pairs, minlength=count * count).reshape(count, count)
        label_probabilities = probabilities[np.arange(len(labels)), labels]
        losses = -np.log(np.maximum(label_probabilities, np.finfo(np.float64).tiny))
        return cls(classes, confusion.astype(np.int64), float(losses.mean()))

    @property
    def images(self) -> int:
        return int(self.confusion.sum())

    @property
    def correct(self) -> int:
        return int(self.confusion.trace())

    @property
    def accuracy(self) -> float:
        """The share of images that were classified correctly, 0 to 1."""
        return self.correct / self.images

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that have images, 0 to 1."""
        counts = self.confusion.sum(axis=1)
        return float((self.confusion.diagonal()[counts > 0] / counts[counts > 0]).mean())

    @property
    def score(self) -> Score:
        """The accuracy and the balanced accuracy."""
        return Score.of_classifier(self.images, self.correct, self.loss, self.balanced_accuracy)

    def to_data(self) -> dict[str, Any]:
        """Return everything for JSON."""
        return {
            "images": self.images, "correct": self.correct, "loss": self.loss,
            "confusion": {"classes": list(self.classes), "counts": self.confusion.tolist()},
        }  # fmt: skip

    def confusions(self) -> list[tuple[str, str, int]]:
        """Return (class, classified as, count), the most frequent confusions first."""
        rows = [
            (self.classes[i], self.classes[j], int(self.confusion[i, j]))
            for i, j in np.argwhere(self.confusion)
            if i != j
        ]
        return sorted(rows, key=lambda row: -row[2])

    def __str__(self) -> str:
        error_count = self.images - self.correct
        return f"{self.accuracy:.2%} of {self.images:,} images right ({error_count:,} wrong)"
