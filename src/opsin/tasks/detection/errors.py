"""Kinds of error of a detector, and the average precision that each kind costs (TIDE: Bolya et al. 2020,
arXiv:2008.08115).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from opsin.tasks.detection.boxes import iou
from opsin.tasks.detection.scored import NO_ROWS, Detections, Truth

BACKGROUND_IOU = 0.1
"""A detection that overlaps every object less than this is one of background."""

MAX_DETECTIONS = 100
"""Detections considered in each image, of all classes together."""

RECALLS = np.linspace(0.0, 1.0, 101)


class Error(Enum):
    """What is wrong with a detection, or with an object that none found."""

    CLASSIFICATION = "classification"
    """The box fits an object of another class."""
    LOCALIZATION = "localization"
    """The class is right, but the box overlaps the object too little."""
    BOTH = "both"
    """The class is wrong, and the box overlaps an object too little."""
    DUPLICATE = "duplicate"
    """A detection with a higher score already found the object."""
    BACKGROUND = "background"
    """There is no object."""
    MISSED = "missed"
    """No detection found the object, not even with a wrong class or box."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A wrong detection. `object` is the object that it should have found, -1 if there is none."""

    detection: int
    error: Error
    object: int = -1


@dataclass(frozen=True, eq=False)
class ErrorAnalysis:
    """The errors of a detector at one IoU threshold."""

    precision: float
    """The mean AP over the classes."""
    gains: dict[Error, float]
    """By how much the mean AP rises if all errors of a kind, and only they, are corrected."""
    counts: dict[Error, int]
    wrong: list[Judgement]
    """Every wrong detection."""
    missed: NDArray[np.intp]
    """The rows of the objects that are missed."""


@dataclass(eq=False)
class _State:
    """Results while the images are judged; indices are rows of detections and of objects."""

    order: dict[int, int] = field(default_factory=dict)
    """Detection → its place: by image, then by descending score."""
    found: dict[int, int] = field(default_factory=dict)
    """Detection → the object that it found."""
    ignored: set[int] = field(default_factory=set)
    """Detections that a crowd or a difficult object explains."""
    wrong: list[Judgement] = field(default_factory=list)


def detection_errors(
    truth: Truth, detections: Detections, class_count: int, threshold: float = 0.5, background: float = BACKGROUND_IOU
) -> ErrorAnalysis:
    """Sort the errors of a detector into kinds, and compute what each costs.

    To correct an error of classification or localization means to count the detection as right, if the object was
    not found otherwise; of several detections for one object, only the one with the highest score counts then. Other
    wrong detections are removed, and missed objects no longer counted. Crowds and difficult objects are ignored.
    """
    state = _State()
    for image in range(truth.image_count):
        _judge_image(truth, detections, image, (threshold, background), state)
    repairs = _repairs(detections, state)
    regular = np.flatnonzero(~(truth.crowd | truth.difficult))
    reached = set(state.found.values()) | {judgement.object for judgement in state.wrong}
    missed = np.array([row for row in regular.tolist() if row not in reached], np.intp)
    objects = np.bincount(truth.classes[regular], minlength=class_count)
    score = _Scorer(truth, detections, state, repairs, objects)
    base = score.precision(lambda judgement: False)
    gains: dict[Error, float] = {error: score.gain(error, base) for error in Error if error is not Error.MISSED}
    fewer = objects - np.bincount(truth.classes[missed], minlength=class_count)
    gains[Error.MISSED] = max(0.0, score.precision(lambda judgement: False, fewer) - base)
    counted = Counter(judgement.error for judgement in state.wrong)
    counts = {error: counted[error] for error in Error} | {Error.MISSED: len(missed)}
    return ErrorAnalysis(base, gains, counts, state.wrong, missed)


def _judge_image(truth: Truth, detections: Detections, image: int, limits: tuple[float, float], state: _State) -> None:
    rows = detections.by_image.get((image, 0), NO_ROWS)[:MAX_DETECTIONS]
    every = truth.by_image.get((image, 0), NO_ROWS)
    first = len(state.order)
    state.order.update((row, first + place) for place, row in enumerate(rows.tolist()))
    skipped = truth.crowd[every] | truth.difficult[every]
    objects = every[~skipped]
    ious = iou(detections.corners[rows], truth.corners[objects])
    same = detections.classes[rows][:, None] == truth.classes[objects][None]
    free = np.ones(len(objects), np.bool_)
    for place, row in enumerate(rows.tolist()):
        values = np.where(same[place] & free, ious[place], 0.0)
        if len(values) and values.max() >= limits[0]:
            free[values.argmax()] = False
            state.found[row] = int(objects[values.argmax()])
    state.ignored.update(_explained(truth, detections, rows, every[skipped], limits[0]))
    for place, row in enumerate(rows.tolist()):
        if row not in state.found:
            error, column = _kind(ious[place], same[place], free, limits)
            target = int(objects[column]) if column >= 0 and free[column] else -1
            state.wrong.append(Judgement(row, error, target))


def _explained(
    truth: Truth, detections: Detections, rows: NDArray[np.intp], skipped: NDArray[np.intp], threshold: float
) -> Iterable[int]:
    """Return the detections that lie in crowds or on difficult objects of their class."""
    overlap = iou(detections.corners[rows], truth.corners[skipped], truth.crowd[skipped])
    same = detections.classes[rows][:, None] == truth.classes[skipped][None]
    return [int(row) for row in rows[((overlap > threshold) & same).any(1)]]


def _kind(
    ious: NDArray[np.float64], same: NDArray[np.bool_], free: NDArray[np.bool_], limits: tuple[float, float]
) -> tuple[Error, int]:
    """Return the kind of error of a detection, and the column of the object that a correction would find (or -1)."""
    threshold, background = limits
    if not len(ious):
        return Error.BACKGROUND, -1
    of_class, of_others = np.where(same, ious, 0.0), np.where(same, 0.0, ious)
    if background <= of_class.max() <= threshold:
        return Error.LOCALIZATION, int(of_class.argmax())
    if of_others.max() >= threshold:
        return Error.CLASSIFICATION, int(of_others.argmax())
    if np.where(free, 0.0, of_class).max() >= threshold:
        return Error.DUPLICATE, -1
    return (Error.BACKGROUND if ious.max() <= background else Error.BOTH), -1


def _repairs(detections: Detections, state: _State) -> set[int]:
    """Return the detections that a correction makes right: for each object, the one with the highest score."""
    best: dict[int, int] = {}
    for judgement in state.wrong:
        if judgement.object >= 0:
            other = best.setdefault(judgement.object, judgement.detection)
            if detections.scores[judgement.detection] > detections.scores[other]:
                best[judgement.object] = judgement.detection
    return set(best.values())


@dataclass(frozen=True, eq=False)
class _Scorer:
    """Computes the mean AP with some errors corrected."""

    truth: Truth
    detections: Detections
    state: _State
    repairs: set[int]
    objects: NDArray[np.intp]
    """The number of objects of each class."""

    def gain(self, error: Error, base: float) -> float:
        return max(0.0, self.precision(lambda judgement: judgement.error is error) - base)

    def precision(self, corrected: Callable[[Judgement], bool], objects: NDArray[np.intp] | None = None) -> float:
        """Return the mean AP over the classes that have objects."""
        counts = self.objects if objects is None else objects
        points = [(int(self.truth.classes[target]), row, True) for row, target in self.state.found.items()]
        for judgement in self.state.wrong:
            points += self._points(judgement, corrected(judgement))
        points.sort(key=lambda point: self.state.order[point[1]])  # of equal scores, as COCO's evaluation has them
        classes = np.array([label for label, _, _ in points], np.intp)
        scores = self.detections.scores[np.array([row for _, row, _ in points], np.intp)]
        right = np.array([hit for _, _, hit in points], np.bool_)
        present = np.flatnonzero(self.objects)
        every = [_interpolated(scores[classes == k], right[classes == k], int(counts[k])) for k in present]
        return float(np.mean(every)) if every else float("nan")

    def _points(self, judgement: Judgement, corrected: bool) -> list[tuple[int, int, bool]]:
        """Return class, detection and correctness of what counts for the precision: nothing if it is removed."""
        row = judgement.detection
        if not corrected:
            return [] if row in self.state.ignored else [(int(self.detections.classes[row]), row, False)]
        if judgement.object < 0 or row not in self.repairs:
            return []
        return [(int(self.truth.classes[judgement.object]), row, True)]


def _interpolated(scores: NDArray[np.float64], right: NDArray[np.bool_], objects: int) -> float:
    """Return the mean of the interpolated precision at 101 recalls; 1 if no object is left to find."""
    if not objects:
        return 1.0 if right.all() else 0.0
    right = right[np.argsort(-scores, kind="stable")]
    hits = right.cumsum()
    precision = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
    places = np.searchsorted(hits / objects, RECALLS)
    return float(np.append(precision, 0.0)[places].mean())
