"""The score from which a detector's boxes are shown, chosen on images that the network was not trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import ModelError
from opsin.tasks.detection.matching import AREA_RANGES, Matches, candidates, match
from opsin.tasks.detection.scored import Detections, Truth

DEFAULT_SCORE = 0.3
"""The score from which boxes are shown if there are no images to choose it by."""

MIN_OBJECTS = 10
"""With fewer objects, the score stays at `DEFAULT_SCORE`: the best one would be a matter of chance."""

MATCH_IOU = 0.5
MAX_DETECTIONS = 100
"""Detections of each class in each image that are judged."""


@dataclass(frozen=True)
class ScoreThreshold:
    """Boxes are shown if their `score` is at least this one.

    On the `images` that it was fitted to, this gave the precision (the share of the boxes that are right), the recall
    (the share of the objects that are found), and their harmonic mean `f1`.
    """

    score: float
    precision: float
    recall: float
    f1: float
    images: int

    def to_data(self) -> dict[str, Any]:
        """Return the threshold for JSON."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> ScoreThreshold:
        """Read what `to_data` wrote. Raise `ModelError` for anything else."""
        try:
            numbers = {name: float(data[name]) for name in ("score", "precision", "recall", "f1")}
            result = cls(**numbers, images=int(data["images"]))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise ModelError("its calibration is incomplete") from None
        if not all(isfinite(number) and 0 <= number <= 1 for number in numbers.values()):
            raise ModelError("its calibration has an invalid score")
        return result


@dataclass(frozen=True, eq=False)
class Judged:
    """The detections of one class, or of all, by descending score: their `scores`, and which are right (D)."""

    scores: NDArray[np.float64]
    right: NDArray[np.bool_]
    objects: int
    """The number of objects to find."""

    @classmethod
    def of(cls, truth: Truth, detections: Detections, label: int) -> Judged:
        """Judge the detections of a class at an IoU of 0.5, without those that crowds or difficult objects explain."""
        groups = candidates(truth, detections, label, MAX_DETECTIONS)
        matches = [match(group, np.array([MATCH_IOU]), AREA_RANGES["all"]) for group in groups]
        return cls.sorted([_counted(each) for each in matches])

    @classmethod
    def sorted(cls, parts: list[Judged]) -> Judged:
        """Return all parts as one, by descending score."""
        scores = np.concatenate([np.zeros(0), *(part.scores for part in parts)])
        right = np.concatenate([np.zeros(0, np.bool_), *(part.right for part in parts)])
        order = np.argsort(-scores, kind="stable")
        return cls(scores[order], right[order], sum(part.objects for part in parts))

    def at(self, score: float) -> tuple[float, float]:
        """Return precision and recall of the detections with at least this score; NaN: no detection, or no object."""
        shown = self.right[self.scores >= score]
        found, wrong = int(shown.sum()), int((~shown).sum())
        precision = found / (found + wrong) if len(shown) else float("nan")
        return precision, found / self.objects if self.objects else float("nan")


def _counted(matches: Matches) -> Judged:
    counts = ~matches.ignored[0]
    return Judged(matches.scores[counts], matches.hit[0][counts], matches.objects)


def fit_threshold(truth: Truth, detections: Detections, class_count: int) -> ScoreThreshold | None:
    """Return the score with the best F1 over all classes together; None if there are too few objects.

    It lies in the middle between the last detection that is shown and the next one.
    """
    judged = Judged.sorted([Judged.of(truth, detections, label) for label in range(class_count)])
    if judged.objects < MIN_OBJECTS or not judged.right.any():
        return None
    found, shown = judged.right.cumsum(), np.arange(1, len(judged.right) + 1)
    last = np.append(np.diff(judged.scores) < 0, True)  # equal scores are shown together
    f1 = np.where(last, 2 * found / (shown + judged.objects), 0.0)
    best = int(f1.argmax())
    following = judged.scores[best + 1] if best + 1 < len(judged.scores) else judged.scores[best]
    score = float((judged.scores[best] + following) / 2)
    return ScoreThreshold(
        score, float(found[best] / shown[best]), float(found[best] / judged.objects), float(f1[best]), truth.image_count
    )
