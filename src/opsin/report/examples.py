"""Images that a report shows: confident mistakes, examples of a confusion matrix, and suspected label errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.data import Samples
from opsin.report.label_issues import rank_labels
from opsin.report.statistics import Share
from opsin.report.thumbnails import ThumbnailStore
from opsin.tasks.classification.calibration import Calibration

MAX_MISTAKES = 24
MIN_MISTAKES = 6
MAX_EXPLAINED = 8
"""Mistakes that a page of `opsin see` explains; the report links to them."""

MIN_CONFIDENCE = 0.5
"""Mistakes of a lower probability are not confident; they are shown only to make up `MIN_MISTAKES`."""

MAX_LABEL_ISSUES = 48
"""Suspected label errors shown with a thumbnail."""

MIN_LISTED = 0.08
"""Share of the labels listed by name, at least."""

MAX_MATRIX_CLASSES = 30
"""With more classes the confusion matrix is not drawn."""

MAX_CELL_IMAGES, MAX_DIAGONAL_IMAGES = 12, 4
"""Images shown for a cell of the confusion matrix."""


@dataclass(frozen=True)
class Example:
    """An image with its label and the model's answer; `thumbnail` is its key in the thumbnail store.

    `probability` is that of the answer, `label_probability` that of the label; `number` is the image's in its split.
    `html` is shown in place of the thumbnail, unless it is empty.
    """

    name: str
    label: str
    answer: str
    probability: float
    label_probability: float
    thumbnail: str | None = None
    number: int = -1
    html: str = ""

    def to_data(self) -> dict[str, Any]:
        return {
            "name": self.name, "label": self.label, "answer": self.answer, "probability": self.probability,
            "given": self.label_probability,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class EvaluatedSet:
    """N images with their labels (class numbers) and predicted probabilities (N × classes, out of sample).

    They are a sample of a `split` ("train", "test") of the data; `indices` are their positions in it.
    """

    split: str
    images: Samples
    labels: NDArray[np.int32]
    probabilities: NDArray[np.float64]
    classes: tuple[str, ...]
    indices: NDArray[np.intp]

    @property
    def answers(self) -> NDArray[np.intp]:
        """The most probable class of each image."""
        classes: NDArray[np.intp] = np.argmax(self.probabilities, axis=1)
        return classes

    @property
    def confidence(self) -> NDArray[np.float64]:
        """The probability of each answer."""
        probabilities: NDArray[np.float64] = self.probabilities.max(axis=1)
        return probabilities

    def example(self, number: int, thumbnails: ThumbnailStore | None) -> Example:
        """Describe an image; with `thumbnails`, store its thumbnail there."""
        answer, label = int(self.probabilities[number].argmax()), int(self.labels[number])
        names, kind = self.images.names, self.images.input
        return Example(
            names[number] if names else f"{self.split} image {self.indices[number] + 1:,}",
            self.classes[label],
            self.classes[answer],
            float(self.probabilities[number, answer]),
            float(self.probabilities[number, label]),
            thumbnails.add(self.split, self.images, number) if thumbnails else None,
            int(self.indices[number]),
            kind.html(self.images.pixels[number], None) if kind and thumbnails else "",
        )


@dataclass(frozen=True)
class LabelIssues:
    """Suspected label errors, the most suspicious first: about `count` among `checked` of `images` labels.

    `independent`: the judge was not trained on these labels. `agreement` is the share of the labels with which the
    judge agrees; a judge that is often wrong suspects correct labels, too.
    """

    images: int
    checked: int
    count: int
    independent: bool
    agreement: float
    examples: tuple[Example, ...]

    def to_data(self) -> dict[str, Any]:
        return {
            "images": self.images, "looked_at": self.checked, "doubtful": self.count, "unseen": self.independent,
            "agreement": self.agreement, "ranked": [example.to_data() for example in self.examples],
        }  # fmt: skip


@dataclass(frozen=True)
class Abstention:
    """The effect of a threshold: the share of the images that get an answer, and the share of right answers."""

    threshold: float
    answered: Share
    right: Share

    def to_data(self) -> dict[str, Any]:
        return {"threshold": self.threshold, "answered": self.answered.to_data(), "right": self.right.to_data()}


def confident_mistakes(evaluated: EvaluatedSet, thumbnails: ThumbnailStore) -> tuple[Example, ...]:
    """Return the wrong answers of the highest probability."""
    errors = np.flatnonzero(evaluated.answers != evaluated.labels)
    confidence = evaluated.confidence[errors]
    count = min(MAX_MISTAKES, max(MIN_MISTAKES, int((confidence >= MIN_CONFIDENCE).sum())))
    order = errors[np.argsort(-confidence, kind="stable")][:count]
    return tuple(evaluated.example(int(number), thumbnails) for number in order)


def confusion_examples(
    evaluated: EvaluatedSet, thumbnails: ThumbnailStore
) -> dict[tuple[int, int], tuple[Example, ...]]:
    """Return, by (class, answer), the most confident answers in each cell of the confusion matrix.

    Mistakes come first; if the store becomes full, images of the diagonal lack thumbnails.
    """
    if len(evaluated.classes) > MAX_MATRIX_CLASSES:
        return {}
    examples: dict[tuple[int, int], tuple[Example, ...]] = {}
    labels, answers, confidence = evaluated.labels, evaluated.answers, evaluated.confidence
    pairs = [(int(a), int(b)) for a, b in {*zip(labels.tolist(), answers.tolist(), strict=True)}]
    for label, answer in sorted(pairs, key=lambda pair: (pair[0] == pair[1], pair)):
        cell = np.flatnonzero((labels == label) & (answers == answer))
        count = MAX_DIAGONAL_IMAGES if label == answer else MAX_CELL_IMAGES
        order = cell[np.argsort(-confidence[cell], kind="stable")][:count]
        examples[label, answer] = tuple(evaluated.example(int(number), thumbnails) for number in order)
    return examples


def find_label_issues(
    evaluated: EvaluatedSet, images: int, independent: bool, thumbnails: ThumbnailStore
) -> LabelIssues:
    """Return suspected label errors in `evaluated`, a sample of `images`; the first ones get thumbnails."""
    ranking = rank_labels(evaluated.probabilities, evaluated.labels)
    count = max(ranking.issue_count, round(MIN_LISTED * len(evaluated.labels)))
    errors = evaluated.answers != evaluated.labels
    numbers = [int(number) for number in ranking.order[:count] if errors[number]]
    thumbnail_count = min(MAX_LABEL_ISSUES, ranking.issue_count)
    examples = tuple(
        evaluated.example(number, thumbnails if place < thumbnail_count else None)
        for place, number in enumerate(numbers)
    )
    agreement = float((~errors).mean())
    return LabelIssues(images, len(evaluated.labels), ranking.issue_count, independent, agreement, examples)


def measure_abstention(evaluated: EvaluatedSet, calibration: Calibration | None) -> Abstention | None:
    """Return what the calibration's threshold does to these images; None if it has no threshold."""
    if calibration is None or calibration.threshold is None:
        return None
    is_answered = evaluated.confidence >= calibration.threshold
    right = int((is_answered & (evaluated.answers == evaluated.labels)).sum())
    answered = int(is_answered.sum())
    return Abstention(calibration.threshold, Share(answered, len(is_answered)), Share(right, answered))
