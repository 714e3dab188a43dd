"""What a report says of a segmentation: classes, confusions, the worst images and masks to check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from opsin.base.formatting import listed, percent
from opsin.tasks.section import Example, Section, Table
from opsin.tasks.segmentation.boundary import TOLERANCE
from opsin.tasks.segmentation.calibration import PixelCalibration
from opsin.tasks.segmentation.coding import IGNORE
from opsin.tasks.segmentation.metrics import SegmentationScore, has_background
from opsin.tasks.segmentation.reliability import calibration_error, reliability
from opsin.tasks.segmentation.results import PixelResults
from opsin.tasks.segmentation.suspects import suspects
from opsin.viz.charts import Dot, share_chart

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


def sections(results: PixelResults, calibration: PixelCalibration | None, order: Sequence[int]) -> list[Section]:
    """Return the sections of a report, the most important first. `order` are images with errors, the worst first."""
    parts = [_confusions(results), _worst(results, order), _suspects(results, order), _confidence(results, calibration)]
    return [_classes(results), *(part for part in parts if part)]


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


def _confusions(results: PixelResults) -> Section | None:
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
    return Section("Confused pixels", table=Table(names, rows)) if rows else None


def _worst(results: PixelResults, order: Sequence[int]) -> Section | None:
    examples = tuple(Example(image, _errors(results, image)) for image in order[:MAX_EXAMPLES])
    return Section("Images with the largest errors", examples=examples) if examples else None


def _errors(results: PixelResults, image: int) -> str:
    """Return a phrase on the wrong pixels of an image and the class with the most of them."""
    true, common, area = results.true[image], results.common[image], results.counted[image]
    missed, extra = true - common, results.predicted[image] - common
    both = missed + extra
    number = int(both.argmax() if not has_background(results.score.classes) else 1 + both[1:].argmax())
    union = true[number] + extra[number]
    name = results.score.classes[number]
    parts = [f"{percent(count / area)} {verb}" for count, verb in ((missed[number], "missed"), (extra[number], "added"))
             if count]  # fmt: skip
    wrong = percent(results.wrong[image] / area)
    return f"{wrong} of the pixels wrong; {name}: IoU {common[number] / max(1, union):.2f}, {listed(parts)}"


def _suspects(results: PixelResults, order: Sequence[int]) -> Section | None:
    found = suspects(results, has_background(results.score.classes), order)
    text = (
        "The network disagrees strongly with these masks. It may be wrong; but look whether the mask belongs to the "
        "image, was moved, or leaves something out."
    )
    examples = tuple(Example(each.image, each.reason) for each in found[:MAX_EXAMPLES])
    return Section("Masks to check", (text,), examples=examples) if examples else None


def _confidence(results: PixelResults, calibration: PixelCalibration | None) -> Section | None:
    """Return what the probabilities of pixels are worth, if the model has a calibration."""
    if calibration is None or not (results.labels != IGNORE).any():
        return None
    bins, plain = reliability(results, calibration.temperature), reliability(results, 1.0)
    text = (
        f"Logits are divided by a temperature of {calibration.temperature:.2f}, which was fitted to the pixels of "
        f"{calibration.images:,} images that the network was not trained on. The probability of an answered class then "
        f"differs from the share of right pixels by {percent(calibration_error(bins))} on average (expected "
        f"calibration error), and by {percent(calibration_error(plain))} without it. A point is a group of pixels; the "
        "bars are 95% intervals, which take into account that pixels of the same image are alike."
    )
    dots = [
        Dot(each.confidence, each.right, (each.low, each.high), 2 + 4 * each.weight**0.5, percent(each.weight))
        for each in bins
    ]
    figure = share_chart(dots, "probability of the answer", "right", "Share of right pixels over their probability")
    return Section("Confidence", (text,), figures=(figure,))
