"""What a report says of a segmentation: classes, confusions, the worst images and masks to check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from opsin.base.formatting import percent
from opsin.tasks.section import Example, Section, Table
from opsin.tasks.segmentation.boundary import TOLERANCE
from opsin.tasks.segmentation.calibration import PixelCalibration
from opsin.tasks.segmentation.metrics import SegmentationScore
from opsin.tasks.segmentation.results import PixelResults

MAX_EXAMPLES = 12
MAX_CONFUSIONS = 20


@dataclass(frozen=True)
class ClassRow:
    """The results of a class; None for what cannot be computed, because there are no such pixels."""

    name: str
    pixels: int
    predicted: int
    iou: float | None
    dice: float | None
    precision: float | None
    recall: float | None
    boundary_f1: float | None

    def to_data(self) -> dict[str, Any]:
        """Return the row for JSON."""
        return asdict(self)


def class_rows(score: SegmentationScore) -> list[ClassRow]:
    """Return the results of each class."""
    true, predicted, common = score.confusion.sum(1), score.confusion.sum(0), score.confusion.diagonal()
    return [
        ClassRow(
            name, int(true[i]), int(predicted[i]), _number(score.iou[i]), _number(score.dice[i]),
            float(common[i] / predicted[i]) if predicted[i] else None, float(common[i] / true[i]) if true[i] else None,
            _number(score.boundary_f1[i]),
        )
        for i, name in enumerate(score.classes)
    ]  # fmt: skip


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def sections(results: PixelResults, calibration: PixelCalibration | None, worst: Sequence[int]) -> list[Section]:
    """Return the sections of a report, the most important first."""
    return [_classes(results), *_confusions(results), *_worst(results, worst)]


def _classes(results: PixelResults) -> Section:
    rows = class_rows(results.score)
    total = max(1, sum(row.pixels for row in rows))
    cells = tuple(
        (
            row.name, f"{row.pixels:,}", percent(row.pixels / total), *map(_cell, (
                row.iou, row.dice, row.precision, row.recall, row.boundary_f1
            )),
        )
        for row in rows
    )  # fmt: skip
    names = ("class", "pixels", "share", "IoU", "Dice", "precision", "recall", "boundary F1")
    text = (
        "IoU (intersection over union) is the number of pixels that have a class and are answered so, divided by those "
        "that have it or are answered so, over all images. Boundary F1 compares outlines: they match up to a distance "
        f"of {percent(TOLERANCE, digits=2)} of the diagonal."
    )
    return Section("Classes", (text,), Table(names, cells))


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _confusions(results: PixelResults) -> list[Section]:
    """Return the pairs of classes that are confused most, if any are."""
    confusion, classes = results.score.confusion, results.score.classes
    wrong = confusion - np.diag(confusion.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[:MAX_CONFUSIONS]
    pairs = [divmod(int(place), len(classes)) for place in order]
    rows = tuple(
        (classes[i], classes[j], f"{wrong[i, j]:,}", percent(wrong[i, j] / confusion[i].sum()),
         percent(wrong[i, j] / wrong.sum()))
        for i, j in pairs if wrong[i, j]
    )  # fmt: skip
    names = ("true class", "answered as", "pixels", "of the class", "of all errors")
    return [Section("Confused pixels", table=Table(names, rows))] if rows else []


def _worst(results: PixelResults, worst: Sequence[int]) -> list[Section]:
    examples = tuple(Example(number, _errors(results, number)) for number in worst)
    return [Section("Images with the largest errors", examples=examples)] if examples else []


def _errors(results: PixelResults, number: int) -> str:
    """Return a phrase on the wrong pixels of an image."""
    return f"{percent(results.wrong[number] / results.counted[number])} of the pixels wrong"
