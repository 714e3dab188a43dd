"""Whether more pictures would help, and of which classes: the last layer fitted anew on parts of the pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.reporting.logistic import Floats, choose_penalty, fit, folds
from opsin.reporting.statistics import Share

QUARTERS = 4
DRAWS = 3
"""Each part of the pictures is drawn so often; the results are averaged, since a single draw may be lucky."""


@dataclass(frozen=True)
class Point:
    """With `pictures` to learn from, `accuracy` of the held-out pictures were right, of each class `recalls`."""

    pictures: int
    accuracy: float
    recalls: tuple[float, ...]


@dataclass(frozen=True)
class LearningCurve:
    """Accuracy on the same held-out pictures after learning from 1/4, 1/2, 3/4 and all of the training pictures.

    `recalls` are those of each class in the end, with their uncertainty; `counts` its training pictures.
    """

    classes: tuple[str, ...]
    points: tuple[Point, ...]
    counts: tuple[int, ...]
    recalls: tuple[Share, ...]
    accuracy: Share

    @property
    def gain(self) -> float:
        """What the last doubling of the training pictures brought."""
        return self.points[-1].accuracy - self.points[1].accuracy

    def class_gain(self, number: int) -> float:
        """What the last doubling brought to the class of this number."""
        return self.points[-1].recalls[number] - self.points[1].recalls[number]

    def needy(self) -> tuple[int, ...]:
        """The numbers of the classes that need more pictures, the neediest first.

        Those that are still found less often than the average and gained by the last doubling, or that lie below the
        average by more than chance explains.
        """
        average = self.points[-1].accuracy
        found = []
        for number, recall in enumerate(self.recalls):
            if recall.value is None:
                continue
            rising = recall.value < average and self.class_gain(number) > 0
            if rising or recall.high < average:
                found.append((recall.value - average - max(0.0, self.class_gain(number)), number))
        return tuple(number for _, number in sorted(found))

    def to_data(self) -> dict[str, Any]:
        points = [{"pictures": p.pictures, "accuracy": p.accuracy, "recalls": list(p.recalls)} for p in self.points]
        return {
            "classes": list(self.classes),
            "counts": list(self.counts),
            "points": points,
            "accuracy": self.accuracy.to_data(),
            "need_pictures": [self.classes[number] for number in self.needy()],
        }


def learning_curve(
    train: tuple[Floats, NDArray[Any]], held_out: tuple[Floats, NDArray[Any]], classes: tuple[str, ...]
) -> LearningCurve | None:
    """From features N × F and labels N of the training and the held-out pictures; None where they are too few.

    Every part has the same shares of the classes as the whole.
    """
    features, labels = train
    counts = np.bincount(labels, minlength=len(classes))
    if counts[counts > 0].min(initial=QUARTERS) < QUARTERS or not len(held_out[1]) or (counts > 0).sum() < 2:
        return None
    penalty = choose_penalty(features, labels, len(classes))
    part = folds(labels, QUARTERS)
    points, right = [], np.zeros(0, bool)
    for quarters in range(1, QUARTERS + 1):
        rows = []
        for draw in range(DRAWS if quarters < QUARTERS else 1):
            inside = np.isin(part, (draw + np.arange(quarters)) % QUARTERS)
            # The penalty is relative to the number of pictures, or small parts would be held back more.
            head = fit(features[inside], labels[inside], len(classes), penalty * quarters / QUARTERS)
            right = head.logits(held_out[0]).argmax(axis=1) == held_out[1]
            rows.append([right.mean(), *_recalls(right, held_out[1], len(classes))])
        accuracy, *recalls = np.mean(rows, axis=0)
        points.append(Point(int((part < quarters).sum()), float(accuracy), tuple(float(each) for each in recalls)))
    found = np.bincount(held_out[1], weights=right, minlength=len(classes))
    asked = np.bincount(held_out[1], minlength=len(classes))
    shares = tuple(Share(int(a), int(b)) for a, b in zip(found, asked, strict=True))
    return LearningCurve(
        classes, tuple(points), tuple(int(n) for n in counts), shares, Share(int(right.sum()), len(right))
    )


def _recalls(right: NDArray[np.bool_], labels: NDArray[Any], classes: int) -> NDArray[np.float64]:
    """Of each class, 0 where it has no pictures."""
    counts = np.bincount(labels, minlength=classes)
    result: NDArray[np.float64] = np.bincount(labels, weights=right, minlength=classes) / np.maximum(counts, 1)
    return result
