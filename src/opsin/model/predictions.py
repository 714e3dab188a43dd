"""What a model says: of one image (`Prediction`) and about itself (`Evaluation`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.model.calibration import Calibration, sigmoid, softmax


@dataclass(frozen=True)
class Prediction:
    """The likeliest label of an image, its probability (0 to 1), and the labels, likeliest first.

    Of an `independent` model each label's probability is its own, and they need not add up to 1.
    `known` is whether the model is sure enough for an answer that can be relied on; None where it is not calibrated
    for that, and nobody can say.
    """

    label: str
    probability: float
    ranked: tuple[tuple[str, float], ...]
    known: bool | None = None
    independent: bool = False

    @classmethod
    def of(
        cls,
        logits: NDArray[np.float32],
        labels: tuple[str, ...],
        calibration: Calibration | None = None,
        independent: bool = False,
        top: int | None = None,
    ) -> Prediction:
        """Softmax of one image's logits, in float64, with the calibration's temperature and threshold.

        Sigmoids, if the labels are `independent`. Only the `top` likeliest labels are ranked, where that is given.
        """
        temperature = calibration.temperature if calibration else 1.0
        probabilities = sigmoid(logits) if independent else softmax(logits, temperature)
        order = np.argsort(-probabilities, kind="stable")[:top]
        ranked = tuple((labels[i], float(probabilities[i])) for i in order)
        threshold = calibration.threshold if calibration else None
        return cls(*ranked[0], ranked, None if threshold is None else ranked[0][1] >= threshold, independent)

    def __str__(self) -> str:
        return f"{self.label} ({self.probability:.1%})"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How a model did on labelled images.

    `confusion[i, j]` counts the images of class i that were taken for class j; `loss` is the
    mean cross-entropy in nats.
    """

    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    loss: float

    @classmethod
    def of(cls, probabilities: NDArray[np.float64], labels: NDArray[np.int32], classes: tuple[str, ...]) -> Evaluation:
        """From the probabilities N × classes that were given to images with these `labels` N."""
        count = len(classes)
        pairs = labels.astype(np.int64) * count + probabilities.argmax(axis=1)
        confusion = np.bincount(pairs, minlength=count * count).reshape(count, count)
        chosen = probabilities[np.arange(len(labels)), labels]
        losses = -np.log(np.maximum(chosen, np.finfo(np.float64).tiny))
        return cls(classes, confusion.astype(np.int64), float(losses.mean()))

    @property
    def images(self) -> int:
        return int(self.confusion.sum())

    @property
    def correct(self) -> int:
        return int(self.confusion.trace())

    @property
    def accuracy(self) -> float:
        """The share of the images whose label was found, 0 to 1."""
        return self.correct / self.images

    @property
    def balanced_accuracy(self) -> float:
        """The mean, over the classes that have images, of the share whose label was found, 0 to 1."""
        counts = self.confusion.sum(axis=1)
        return float((self.confusion.diagonal()[counts > 0] / counts[counts > 0]).mean())

    def mistakes(self) -> list[tuple[str, str, int]]:
        """(class, taken for, how often), most frequent first."""
        rows = [
            (self.classes[i], self.classes[j], int(self.confusion[i, j]))
            for i, j in np.argwhere(self.confusion)
            if i != j
        ]
        return sorted(rows, key=lambda row: -row[2])

    def __str__(self) -> str:
        wrong = self.images - self.correct
        return f"{self.accuracy:.2%} of {self.images:,} images right ({wrong:,} wrong)"
