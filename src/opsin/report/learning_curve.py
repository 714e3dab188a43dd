"""Whether more images would help, and of which classes: the last layer fitted anew on parts of the images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.report.logistic import Floats, fit, folds, side_by_side
from opsin.report.statistics import Share

QUARTERS = 4
DRAWS = 3
"""Each part of the images is drawn so often; the results are averaged, since a single draw may be lucky."""


@dataclass(frozen=True)
class Point:
    """With `images` to learn from, `accuracy` of the held-out images were right, of each class `recalls`."""

    images: int
    accuracy: float
    recalls: tuple[float, ...]


@dataclass(frozen=True)
class LearningCurve:
    """Accuracy on the same held-out images after learning from 1/4, 1/2, 3/4 and all of the training images.

    `recalls` are those of each class in the end, with their uncertainty; `counts` its training images.
    """

    classes: tuple[str, ...]
    points: tuple[Point, ...]
    counts: tuple[int, ...]
    recalls: tuple[Share, ...]
    accuracy: Share

    @property
    def gain(self) -> float:
        """What the last doubling of the training images brought."""
        return self.points[-1].accuracy - self.points[1].accuracy

    def class_gain(self, number: int) -> float:
        """What the last doubling brought to the class of this number."""
        return self.points[-1].recalls[number] - self.points[1].recalls[number]

    def needy(self) -> tuple[int, ...]:
        """The numbers of the classes that need more images, the neediest first.

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
        points = [{"images": p.images, "accuracy": p.accuracy, "recalls": list(p.recalls)} for p in self.points]
        return {
            "classes": list(self.classes),
            "counts": list(self.counts),
            "points": points,
            "accuracy": self.accuracy.to_data(),
            "need_images": [self.classes[number] for number in self.needy()],
        }


def learning_curve(
    train: tuple[Floats, NDArray[Any]],
    held_out: tuple[Floats, NDArray[Any]],
    classes: tuple[str, ...],
    penalty: float,
) -> LearningCurve | None:
    """From features N × F and labels N of the training and the held-out images; None where they are too few.

    Every part has the same shares of the classes as the whole.
    """
    features, labels = train
    counts = np.bincount(labels, minlength=len(classes))
    if counts[counts > 0].min(initial=QUARTERS) < QUARTERS or not len(held_out[1]) or (counts > 0).sum() < 2:
        return None
    part = folds(labels, QUARTERS)
    runs = [(quarters, draw) for quarters in range(1, QUARTERS) for draw in range(DRAWS)] + [(QUARTERS, 0)]

    def right(number: int) -> NDArray[np.bool_]:
        """Which of the held-out images are right after learning from the quarters of this run."""
        quarters, draw = runs[number]
        inside = np.isin(part, (draw + np.arange(quarters)) % QUARTERS)
        # The penalty is relative to the number of images, or small parts would be held back more.
        head = fit(features[inside], labels[inside], len(classes), penalty * quarters / QUARTERS)
        found: NDArray[np.bool_] = head.logits(held_out[0]).argmax(axis=1) == held_out[1]
        return found

    results = side_by_side(right, len(runs))
    points = []
    for quarters in range(1, QUARTERS + 1):
        mine = [result for result, run in zip(results, runs, strict=True) if run[0] == quarters]
        recalls = np.mean([_recalls(result, held_out[1], len(classes)) for result in mine], axis=0)
        points.append(Point(int((part < quarters).sum()), float(np.mean(mine)), tuple(map(float, recalls))))
    last = results[-1]
    found = np.bincount(held_out[1], weights=last, minlength=len(classes))
    asked = np.bincount(held_out[1], minlength=len(classes))
    shares = tuple(Share(int(a), int(b)) for a, b in zip(found, asked, strict=True))
    accuracy = Share(int(last.sum()), len(last))
    return LearningCurve(classes, tuple(points), tuple(int(n) for n in counts), shares, accuracy)


def _recalls(right: NDArray[np.bool_], labels: NDArray[Any], classes: int) -> NDArray[np.float64]:
    """Of each class, 0 where it has no images."""
    counts = np.bincount(labels, minlength=classes)
    result: NDArray[np.float64] = np.bincount(labels, weights=right, minlength=classes) / np.maximum(counts, 1)
    return result
