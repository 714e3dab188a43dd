"""What is worth showing: confident mistakes, the pictures in a confusion matrix, doubtful labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.data import Pictures
from opsin.model.calibration import Calibration
from opsin.reporting.confident import suspicion
from opsin.reporting.gallery import Album
from opsin.reporting.statistics import Share

MISTAKES, SUSPECTS, CELL, RIGHT = 24, 48, 12, 4
"""Pictures shown: confident mistakes, suspects, in a cell of the confusion matrix and in one of its diagonal."""

CONFIDENT, FEW = 0.5, 6
"""Mistakes of a smaller probability are not called confident, and only so many of them are shown."""

LARGEST = 30
"""The pictures in its cells are shown for a confusion matrix of at most so many classes."""

LISTED = 0.08
"""The share of the pictures whose labels are listed by name, if not more of them look doubtful."""


@dataclass(frozen=True)
class Seen:
    """A picture, its label, and the answer to it. `thumbnail` is the key of its small copy in the album."""

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
class Look:
    """`pictures` with their `labels` (N, numbers of `classes`) and the `probabilities` (N × classes) that somebody who
    has not learnt from them gives each class.

    They are a sample of the `part` ("train", "test") of the data; `numbers` are theirs in it, from 0.
    """

    part: str
    pictures: Pictures
    labels: NDArray[np.int32]
    probabilities: NDArray[np.float64]
    classes: tuple[str, ...]
    numbers: NDArray[np.intp]

    @property
    def answers(self) -> NDArray[np.intp]:
        found: NDArray[np.intp] = np.argmax(self.probabilities, axis=1)
        return found

    def seen(self, number: int, album: Album | None) -> Seen:
        """What there is to say about a picture; with an `album`, to which a small copy is added."""
        answer, label = int(self.probabilities[number].argmax()), int(self.labels[number])
        names = self.pictures.names
        return Seen(
            names[number] if names else f"{self.part} picture {self.numbers[number] + 1:,}",
            self.classes[label],
            self.classes[answer],
            float(self.probabilities[number, answer]),
            float(self.probabilities[number, label]),
            album.add(self.part, self.pictures.pixels, number) if album else None,
        )


@dataclass(frozen=True)
class Suspects:
    """Labels that are probably wrong, the most suspicious first; about `doubtful` of `looked_at` of `pictures`.

    `unseen`: they were judged by a network that has not learnt from them. `agreement` is the share of the labels with
    which the judge agrees: one who often errs finds fault with good labels, too.
    """

    pictures: int
    looked_at: int
    doubtful: int
    unseen: bool
    agreement: float
    ranked: tuple[Seen, ...]

    def to_data(self) -> dict[str, Any]:
        return {**asdict(self), "ranked": [seen.to_data() for seen in self.ranked]}


@dataclass(frozen=True)
class Known:
    """What the threshold does here: the share of the pictures that get an answer, and of these, of right ones."""

    threshold: float
    answered: Share
    right: Share

    def to_data(self) -> dict[str, Any]:
        return {"threshold": self.threshold, "answered": self.answered.to_data(), "right": self.right.to_data()}


def confident_mistakes(look: Look, album: Album) -> tuple[Seen, ...]:
    """The wrong answers that were given with the highest probability."""
    wrong = np.flatnonzero(look.answers != look.labels)
    sure = look.probabilities[wrong].max(axis=1)
    count = min(MISTAKES, max(FEW, int((sure >= CONFIDENT).sum())))
    order = wrong[np.argsort(-sure, kind="stable")][:count]
    return tuple(look.seen(int(number), album) for number in order)


def cells(look: Look, album: Album) -> dict[tuple[int, int], tuple[Seen, ...]]:
    """By (class, answer), some of the pictures in each cell of the confusion matrix, the most probable answers first.

    Where the album is too small for all, the diagonal goes short.
    """
    if len(look.classes) > LARGEST:
        return {}
    found: dict[tuple[int, int], tuple[Seen, ...]] = {}
    answers, sure = look.answers, look.probabilities.max(axis=1)
    pairs = [(int(a), int(b)) for a, b in {*zip(look.labels.tolist(), answers.tolist(), strict=True)}]
    for label, answer in sorted(pairs, key=lambda pair: (pair[0] == pair[1], pair)):
        inside = np.flatnonzero((look.labels == label) & (answers == answer))
        order = inside[np.argsort(-sure[inside], kind="stable")][: RIGHT if label == answer else CELL]
        found[label, answer] = tuple(look.seen(int(number), album) for number in order)
    return found


def suspects(look: Look, pictures: int, unseen: bool, album: Album) -> Suspects:
    """The labels to look at, of `pictures` of which `look` has a sample; the first ones with small copies."""
    found = suspicion(look.probabilities, look.labels)
    count = max(found.doubtful, round(LISTED * len(look.labels)))
    chosen = [int(number) for number in found.order[:count] if look.answers[number] != look.labels[number]]
    shown = min(SUSPECTS, found.doubtful)
    ranked = tuple(look.seen(number, album if place < shown else None) for place, number in enumerate(chosen))
    agreement = float((look.answers == look.labels).mean())
    return Suspects(pictures, len(look.labels), found.doubtful, unseen, agreement, ranked)


def known(look: Look, calibration: Calibration | None) -> Known | None:
    """What the calibration's threshold, if it has one, does to these pictures."""
    if calibration is None or calibration.threshold is None:
        return None
    sure = look.probabilities.max(axis=1) >= calibration.threshold
    right = int((sure & (look.answers == look.labels)).sum())
    answered = int(sure.sum())
    return Known(calibration.threshold, Share(answered, len(sure)), Share(right, answered))
