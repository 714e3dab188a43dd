"""Learning curves: whether more images would help, and of which classes.

The last layer is fitted again on parts of the training images, and measured on the same held-out images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.report.logistic import Floats, fit, folds, run_in_parallel
from opsin.report.statistics import Share

QUARTERS = 4
DRAWS = 3
"""Random subsets of each size; results are averaged, since a single draw may be lucky."""


@dataclass(frozen=True)
class Point:
    """Accuracy and the recall of each class on the held-out images, after fitting on `images`."""

    images: int
    accuracy: float
    recalls: tuple[float, ...]


@dataclass(frozen=True)
class LearningCurve:
    """Accuracy on held-out images after fitting on 1/4, 1/2, 3/4 and all of the training images.

    `counts` are the training images of each class, `recalls` and `accuracy` the final figures with their bounds.
    """

    classes: tuple[str, ...]
    points: tuple[Point, ...]
    counts: tuple[int, ...]
    recalls: tuple[Share, ...]
    accuracy: Share

    @property
    def gain(self) -> float:
        """The accuracy gained by the last doubling of the training images."""
        return self.points[-1].accuracy - self.points[1].accuracy

    def class_gain(self, number: int) -> float:
        """Return the recall that class `number` gained by the last doubling."""
        return self.points[-1].recalls[number] - self.points[1].recalls[number]

    def classes_in_need(self) -> tuple[int, ...]:
        """Return the numbers of the classes that need more images, the neediest first.

        These are the classes below the average whose recall rose with the last doubling, and those whose recall is
        below the average by more than chance explains.
        """
        average = self.points[-1].accuracy
        needs = []
        for number, recall in enumerate(self.recalls):
            if recall.value is None:
                continue
            is_rising = recall.value < average and self.class_gain(number) > 0
            if is_rising or recall.high < average:
                needs.append((recall.value - average - max(0.0, self.class_gain(number)), number))
        return tuple(number for _, number in sorted(needs))

    def to_data(self) -> dict[str, Any]:
        points = [{"images": p.images, "accuracy": p.accuracy, "recalls": list(p.recalls)} for p in self.points]
        return {
            "classes": list(self.classes),
            "counts": list(self.counts),
            "points": points,
            "accuracy": self.accuracy.to_data(),
            "need_images": [self.classes[number] for number in self.classes_in_need()],
        }


def learning_curve(
    train: tuple[Floats, NDArray[Any]],
    held_out: tuple[Floats, NDArray[Any]],
    classes: tuple[str, ...],
    penalty: float,
) -> LearningCurve | None:
    """Measure a learning curve from features (N × F) and labels (N); return None if there are too few images.

    The subsets are stratified.
    """
    features, labels = train
    counts = np.bincount(labels, minlength=len(classes))
    if counts[counts > 0].min(initial=QUARTERS) < QUARTERS or not len(held_out[1]) or (counts > 0).sum() < 2:
        return None
    quarter = folds(labels, QUARTERS)
    runs = [(quarters, draw) for quarters in range(1, QUARTERS) for draw in range(DRAWS)] + [(QUARTERS, 0)]

    def is_right(number: int) -> NDArray[np.bool_]:
        """Return which held-out images are right after fitting on the quarters of run `number`."""
        quarters, draw = runs[number]
        subset = np.isin(quarter, (draw + np.arange(quarters)) % QUARTERS)
        # The penalty is relative to the number of images, or small subsets would be regularised more.
        head = fit(features[subset], labels[subset], len(classes), penalty * quarters / QUARTERS)
        right: NDArray[np.bool_] = head.logits(held_out[0]).argmax(axis=1) == held_out[1]
        return right

    results = run_in_parallel(is_right, len(runs))
    points = []
    for quarters in range(1, QUARTERS + 1):
        draws = [result for result, run in zip(results, runs, strict=True) if run[0] == quarters]
        recalls = np.mean([_recalls(result, held_out[1], len(classes)) for result in draws], axis=0)
        points.append(Point(int((quarter < quarters).sum()), float(np.mean(draws)), tuple(map(float, recalls))))
    right = results[-1]
    rights = np.bincount(held_out[1], weights=right, minlength=len(classes))
    totals = np.bincount(held_out[1], minlength=len(classes))
    shares = tuple(Share(int(a), int(b)) for a, b in zip(rights, totals, strict=True))
    accuracy = Share(int(right.sum()), len(right))
    return LearningCurve(classes, tuple(points), tuple(int(n) for n in counts), shares, accuracy)


def _recalls(right: NDArray[np.bool_], labels: NDArray[Any], classes: int) -> NDArray[np.float64]:
    """Return the recall of each class, 0 for classes without images."""
    counts = np.bincount(labels, minlength=classes)
    recalls: NDArray[np.float64] = np.bincount(labels, weights=right, minlength=classes) / np.maximum(counts, 1)
    return recalls
