"""Scores of semantic segmentation, from a confusion matrix of pixels that grows image by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.base.concurrency import lazy
from opsin.base.errors import DataError
from opsin.tasks.segmentation.boundary import boundary_f1
from opsin.tasks.segmentation.coding import BACKGROUND, IGNORE

Floats = NDArray[np.float64]

FOREGROUND_IOU, MEAN_IOU = "foreground_iou", "mean_iou"


def has_background(classes: Sequence[str]) -> bool:
    """Return whether the first class is called "background"."""
    return bool(classes) and classes[0].lower() == BACKGROUND


def main_metric(classes: Sequence[str]) -> str:
    """Return the name of the score by which models are compared.

    With one class on a background it is the IoU of that class: most pixels are often background, and easy.
    """
    return FOREGROUND_IOU if len(classes) == 2 and has_background(classes) else MEAN_IOU


def confusion_matrix(labels: NDArray[np.integer], predictions: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """Return the number of pixels by true class (row) and predicted class (column), C × C.

    Pixels whose label is 255 do not count. Raise `DataError` for shapes that differ and ids that no class has.
    """
    if labels.shape != predictions.shape:
        raise DataError(
            f"labels {labels.shape} and predictions {predictions.shape} differ; give a prediction per pixel"
        )
    counted = labels != IGNORE
    true, predicted = labels[counted].astype(np.int64), predictions[counted].astype(np.int64)
    all_ids = np.concatenate([true, predicted])
    if all_ids.size and (all_ids.min() < 0 or all_ids.max() >= classes):
        raise DataError(
            f"class ids from {all_ids.min()} to {all_ids.max()}, but there are {classes} classes; ids are 0 to "
            f"{classes - 1} or 255"
        )
    return np.bincount(true * classes + predicted, minlength=classes * classes).reshape(classes, classes)


@dataclass(frozen=True, eq=False)
class SegmentationScore:
    """The scores of predictions. Two scores of the same classes can be added.

    `confusion` counts pixels by true and predicted class, C × C. `boundary_sums` and `boundary_counts` are the sums of
    the boundary F1 of each class and the number of images in which it has an outline.
    """

    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    boundary_sums: Floats
    boundary_counts: NDArray[np.int64]

    @classmethod
    def empty(cls, classes: Sequence[str]) -> SegmentationScore:
        """Return the score of no image, to which others are added."""
        count = len(classes)
        zeros = np.zeros(count, np.int64)
        return cls(tuple(classes), np.zeros((count, count), np.int64), np.zeros(count), zeros)

    @classmethod
    def of(
        cls,
        classes: Sequence[str],
        labels: NDArray[np.integer],
        predictions: NDArray[np.integer],
        *,
        boundary: bool = True,
    ) -> SegmentationScore:
        """Return the score of predicted class ids N × H × W; `boundary` says whether boundary F1 is computed."""
        score = cls.empty(classes)
        confusion = confusion_matrix(labels, predictions, len(classes))
        sums, counts = score.boundary_sums, score.boundary_counts
        if boundary:
            for true, predicted in zip(labels, predictions, strict=True):
                f1 = boundary_f1(true.astype(np.uint8), predicted.astype(np.uint8), len(classes))
                sums, counts = sums + np.nan_to_num(f1), counts + ~np.isnan(f1)
        return cls(score.classes, confusion, sums, counts)

    def __add__(self, other: SegmentationScore) -> SegmentationScore:
        if self.classes != other.classes:
            raise DataError(f"scores of the classes {self.classes} and {other.classes} cannot be added")
        return SegmentationScore(
            self.classes,
            self.confusion + other.confusion,
            self.boundary_sums + other.boundary_sums,
            self.boundary_counts + other.boundary_counts,
        )

    @lazy
    def iou(self) -> Floats:
        """The intersection over union of each class over all pixels; NaN for classes neither present nor predicted."""
        common = self.confusion.diagonal()
        return _quotients(common, self.confusion.sum(0) + self.confusion.sum(1) - common)

    @lazy
    def dice(self) -> Floats:
        """The Dice coefficient (F1) of each class over all pixels; NaN for classes neither present nor predicted."""
        return _quotients(2 * self.confusion.diagonal(), self.confusion.sum(0) + self.confusion.sum(1))

    @lazy
    def boundary_f1(self) -> Floats:
        """The boundary F1 of each class, averaged over the images in which it has an outline; NaN without one."""
        return _quotients(self.boundary_sums, self.boundary_counts)

    @property
    def mean_iou(self) -> float:
        """The mean of `iou` over the classes that are present or predicted; NaN without pixels."""
        return _mean(self.iou)

    @property
    def mean_dice(self) -> float:
        """The mean of `dice` over the classes that are present or predicted."""
        return _mean(self.dice)

    @property
    def mean_boundary_f1(self) -> float:
        """The mean of `boundary_f1` over the classes that have an outline."""
        return _mean(self.boundary_f1)

    @property
    def pixel_accuracy(self) -> float:
        """The share of the pixels with the right class; NaN without pixels."""
        return _mean(_quotients(np.array([self.confusion.trace()]), np.array([self.confusion.sum()])))

    @property
    def foreground_iou(self) -> float | None:
        """The IoU of the foreground over all pixels; None unless there is one class on a background."""
        return float(self.iou[1]) if main_metric(self.classes) == FOREGROUND_IOU else None

    def as_dict(self) -> dict[str, float]:
        """Return the scores by name; those that cannot be computed are left out."""
        scores = {
            MEAN_IOU: self.mean_iou,
            FOREGROUND_IOU: np.nan if self.foreground_iou is None else self.foreground_iou,
            "mean_dice": self.mean_dice,
            "pixel_accuracy": self.pixel_accuracy,
            "boundary_f1": self.mean_boundary_f1,
        }
        return {name: float(score) for name, score in scores.items() if not np.isnan(score)}


def _quotients(part: NDArray[np.int64] | Floats, whole: NDArray[np.int64] | Floats) -> Floats:
    result = np.full(part.shape, np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def _mean(values: Floats) -> float:
    numbers = values[~np.isnan(values)]
    return float(numbers.mean()) if len(numbers) else float("nan")
