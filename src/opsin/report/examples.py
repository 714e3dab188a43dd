"""What is worth showing: confident mistakes, the images in a confusion matrix, doubtful labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.data import LabeledImages
from opsin.model.calibration import Calibration
from opsin.report.gallery import Album
from opsin.report.label_issues import suspicion
from opsin.report.statistics import Share

MISTAKES, SUSPECTS, CELL, RIGHT = 24, 48, 12, 4
"""Images shown: confident mistakes, suspects, in a cell of the confusion matrix and in one of its diagonal."""

CONFIDENT, FEW = 0.5, 6
"""Mistakes of a smaller probability are not called confident, and only so many of them are shown."""

LARGEST = 30
"""The images in its cells are shown for a confusion matrix of at most so many classes."""

LISTED = 0.08
"""The share of the images whose labels are listed by name, if not more of them look doubtful."""


@dataclass(frozen=True)
class Example:
    """An image, its label, and the answer to it. `thumbnail` is the key of its small copy in the album."""

    name: str
    label: str
    answer: str
    probability: float
    """Of the answer."""
    given: float
    """Of the label."""
    thumbnail: str | None = None

    def to_data(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if key != "thumbnail"}


@dataclass(frozen=True, eq=False)
class EvaluatedSet:
    """`images` with their `labels` (N, numbers of `classes`) and the `probabilities` (N × classes) that somebody who
    has not learnt from them gives each class.

    They are a sample of the `part` ("train", "test") of the data; `numbers` are theirs in it, from 0.
    """

    part: str
    images: LabeledImages
    labels: NDArray[np.int32]
    probabilities: NDArray[np.float64]
    classes: tuple[str, ...]
    numbers: NDArray[np.intp]

    @property
    def answers(self) -> NDArray[np.intp]:
        found: NDArray[np.intp] = np.argmax(self.probabilities, axis=1)
        return found

    def seen(self, number: int, album: Album | None) -> Example:
        """What there is to say about an image; with an `album`, to which a small copy is added."""
        answer, label = int(self.probabilities[number].argmax()), int(self.labels[number])
        names = self.images.names
        return Example(
            names[number] if names else f"{self.part} image {self.numbers[number] + 1:,}",
            self.classes[label],
            self.classes[answer],
            float(self.probabilities[number, answer]),
            float(self.probabilities[number, label]),
            album.add(self.part, self.images.pixels, number) if album else None,
        )


@dataclass(frozen=True)
class LabelIssues:
    """Labels that are probably wrong, the most suspicious first; about `doubtful` of `looked_at` of `images`.

    `unseen`: they were judged by a network that has not learnt from them. `agreement` is the share of the labels with
    which the judge agrees: one who often errs finds fault with good labels, too.
    """

    images: int
    looked_at: int
    doubtful: int
    unseen: bool
    agreement: float
    ranked: tuple[Example, ...]

    def to_data(self) -> dict[str, Any]:
        return {**asdict(self), "ranked": [seen.to_data() for seen in self.ranked]}


@dataclass(frozen=True)
class Abstention:
    """What the threshold does here: the share of the images that get an answer, and of these, of right ones."""

    threshold: float
    answered: Share
    right: Share

    def to_data(self) -> dict[str, Any]:
        return {"threshold": self.threshold, "answered": self.answered.to_data(), "right": self.right.to_data()}


def confident_mistakes(look: EvaluatedSet, album: Album) -> tuple[Example, ...]:
    """The wrong answers that were given with the highest probability."""
    wrong = np.flatnonzero(look.answers != look.labels)
    sure = look.probabilities[wrong].max(axis=1)
    count = min(MISTAKES, max(FEW, int((sure >= CONFIDENT).sum())))
    order = wrong[np.argsort(-sure, kind="stable")][:count]
    return tuple(look.seen(int(number), album) for number in order)


def cells(look: EvaluatedSet, album: Album) -> dict[tuple[int, int], tuple[Example, ...]]:
    """By (class, answer), some of the images in each cell of the confusion matrix, the most probable answers first.

    Where the album is too small for all, the diagonal goes short.
    """
    if len(look.classes) > LARGEST:
        return {}
    found: dict[tuple[int, int], tuple[Example, ...]] = {}
    answers, sure = look.answers, look.probabilities.max(axis=1)
    pairs = [(int(a), int(b)) for a, b in {*zip(look.labels.tolist(), answers.tolist(), strict=True)}]
    for label, answer in sorted(pairs, key=lambda pair: (pair[0] == pair[1], pair)):
        inside = np.flatnonzero((look.labels == label) & (answers == answer))
        order = inside[np.argsort(-sure[inside], kind="stable")][: RIGHT if label == answer else CELL]
        found[label, answer] = tuple(look.seen(int(number), album) for number in order)
    return found


def suspects(look: EvaluatedSet, images: int, unseen: bool, album: Album) -> LabelIssues:
    """The labels to look at, of `images` of which `look` has a sample; the first ones with small copies."""
    found = suspicion(look.probabilities, look.labels)
    count = max(found.doubtful, round(LISTED * len(look.labels)))
    chosen = [int(number) for number in found.order[:count] if look.answers[number] != look.labels[number]]
    shown = min(SUSPECTS, found.doubtful)
    ranked = tuple(look.seen(number, album if place < shown else None) for place, number in enumerate(chosen))
    agreement = float((look.answers == look.labels).mean())
    return LabelIssues(images, len(look.labels), found.doubtful, unseen, agreement, ranked)


def known(look: EvaluatedSet, calibration: Calibration | None) -> Abstention | None:
    """What the calibration's threshold, if it has one, does to these images."""
    if calibration is None or calibration.threshold is None:
        return None
    sure = look.probabilities.max(axis=1) >= calibration.threshold
    right = int((sure & (look.answers == look.labels)).sum())
    answered = int(sure.sum())
    return Abstention(calibration.threshold, Share(answered, len(sure)), Share(right, answered))
