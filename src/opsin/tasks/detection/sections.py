"""What a report says of a detector: classes, curves, kinds of error, the worst images, boxes that may be missing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from opsin.base.formatting import listed, percent
from opsin.tasks.detection.average_precision import AveragePrecision
from opsin.tasks.detection.class_results import ClassResult
from opsin.tasks.detection.errors import Error, ErrorAnalysis, Judgement
from opsin.tasks.detection.scored import Detections, Truth
from opsin.tasks.section import Example, Section, Table
from opsin.viz.charts import Series, line_chart

MAX_EXAMPLES = 12
MAX_CURVES = 12
"""Classes whose curves are drawn: those with the lowest average precision."""

MIN_SUSPECT_SCORE = 0.5
"""The score from which a detection where there is no box suggests that the box was forgotten."""

EXPLANATIONS = {
    Error.CLASSIFICATION: "the box fits an object of another class",
    Error.LOCALIZATION: "the class is right, but the box overlaps the object too little",
    Error.BOTH: "the class is wrong, and the box overlaps the object too little",
    Error.DUPLICATE: "a detection with a higher score already found the object",
    Error.BACKGROUND: "there is no object",
    Error.MISSED: "no detection comes near the object",
}


def class_section(
    results: Sequence[ClassResult], summary: Mapping[str, float], min_score: float, overall: tuple[float, float]
) -> Section:
    """Return the table of the classes. `overall` are the precision and recall of all of them together."""
    precision, recall = map(_share, overall)
    sizes = [f"{name.split()[1]} {summary[name]:.3f}" for name in ("AP small", "AP medium", "AP large")
             if not np.isnan(summary[name])]  # fmt: skip
    texts = (
        f"AP {_number(summary['AP'])} is COCO's average precision: the mean over the classes and over ten limits of "
        "how well a box has to fit, IoU (intersection over union) from 0.5 to 0.95. AP50 and AP75 are those for IoU "
        f"0.5 and 0.75.{f' By size of the objects: {listed(sizes)}.' if sizes else ''}",
        f"The model shows objects with a score of at least {min_score:.2f}. Of those, {precision} are right "
        f"(precision), and {recall} of all objects are found (recall), at IoU 0.5.",
    )
    names = ("class", "objects", "AP", "AP50", "AP75", "precision", "recall")
    cells = tuple(
        (each.name, f"{each.objects:,}", *map(_number, (each.ap, each.ap50, each.ap75)), _share(each.precision),
         _share(each.recall))
        for each in results
    )  # fmt: skip
    return Section("Classes", texts, Table(names, cells))


def curve_section(results: Sequence[ClassResult], precision: AveragePrecision) -> Section | None:
    """Return precision-recall curves; None if there are no objects."""
    present = [number for number, each in enumerate(results) if not np.isnan(each.ap50)]
    chosen = sorted(present, key=lambda number: results[number].ap50)[:MAX_CURVES]
    text = (
        "The lower the score from which objects are shown, the more are found (recall), and the more of those shown are"
        " wrong (precision falls). The vertical line is where the model shows them. IoU 0.5."
    )
    figures = tuple(_curve(results[number], precision, number) for number in chosen)
    return Section("Precision and recall", (text,), figures=figures) if figures else None


def _curve(result: ClassResult, precision: AveragePrecision, number: int) -> str:
    curve = precision.curve(number)
    points = [point for point in zip(curve.recall.tolist(), curve.precision.tolist(), strict=True) if point[1] > 0]
    series = Series(result.name, "first", tuple(points) or ((0.0, 0.0),))
    marks = [result.recall] if points and points[0][0] <= result.recall <= points[-1][0] else []
    return line_chart([series], f"recall of {result.name}", "precision", is_share=True, marks=marks)


def error_section(errors: ErrorAnalysis, shown: ErrorAnalysis) -> Section:
    """Return the table of the kinds of error: of all detections (`errors`), and of those that the model shows."""
    rows = sorted(Error, key=lambda error: -errors.gains[error])
    cells = tuple((e.value, EXPLANATIONS[e], f"{shown.counts[e]:,}", f"{errors.gains[e]:.3f}") for e in rows)
    text = (
        "The last column is how much AP50 would rise if all errors of a kind were corrected (TIDE, Bolya et al. 2020). "
        "The numbers are those among the objects that the model shows."
    )
    return Section("Kinds of error", (text,), Table(("kind", "what is wrong", "number", "AP50 lost"), cells))


class ErrorsByImage:
    """The errors of each image, among the `shown` detections."""

    def __init__(self, truth: Truth, shown: Detections, errors: ErrorAnalysis, labels: Sequence[str]) -> None:
        self.shown, self.labels = shown, labels
        self.wrong: dict[int, list[Judgement]] = defaultdict(list)
        self.missed: dict[int, Counter[str]] = defaultdict(Counter)
        for judgement in errors.wrong:
            self.wrong[int(shown.image[judgement.detection])].append(judgement)
        for row in errors.missed.tolist():
            self.missed[int(truth.image[row])][labels[truth.classes[row]]] += 1

    def count(self, image: int) -> int:
        """Return the number of wrong detections and missed objects of an image."""
        return len(self.wrong.get(image, ())) + self.missed.get(image, Counter()).total()

    def worst(self, count: int) -> list[int]:
        """Return at most `count` images with errors, those with the most of them first."""
        images = sorted(self.wrong.keys() | self.missed.keys())
        return sorted(images, key=self.count, reverse=True)[:count]

    def phrase(self, image: int) -> str:
        """Return a phrase such as "missed: 2 dog; wrong: 1 duplicate, 3 background"."""
        kinds = Counter(judgement.error.value for judgement in self.wrong.get(image, ()))
        parts = {"missed": self.missed.get(image, Counter()), "wrong": kinds}
        return "; ".join(f"{name}: {_counted(counts)}" for name, counts in parts.items() if counts)

    def worst_section(self) -> Section | None:
        """Return the images with the most errors; None if there are no errors."""
        examples = tuple(Example(image, self.phrase(image)) for image in self.worst(MAX_EXAMPLES))
        return Section("Images with the most errors", examples=examples) if examples else None

    def suspect_section(self) -> Section | None:
        """Return images with sure detections where there is no box; None if there are none."""
        suspects = {
            image: rows
            for image, wrong in self.wrong.items()
            if len(rows := self._suspects(wrong))
        }  # fmt: skip
        order = sorted(suspects, key=lambda image: (-self.shown.scores[suspects[image]].max(), image))
        text = (
            "The network is sure of objects here that are not annotated. It may be wrong; but look whether the boxes "
            "were forgotten: then it is punished for being right, in training and in this report."
        )
        examples = tuple(Example(image, self._suspect_phrase(suspects[image])) for image in order[:MAX_EXAMPLES])
        return Section("Boxes that may have been forgotten", (text,), examples=examples) if examples else None

    def _suspects(self, wrong: Sequence[Judgement]) -> NDArray[np.intp]:
        """Return the sure detections of an image that overlap no object."""
        rows = [judgement.detection for judgement in wrong if judgement.error is Error.BACKGROUND]
        return np.array([row for row in rows if self.shown.scores[row] >= MIN_SUSPECT_SCORE], np.intp)

    def _suspect_phrase(self, rows: NDArray[np.intp]) -> str:
        counts = Counter(self.labels[label] for label in self.shown.classes[rows])
        return f"not annotated: {_counted(counts)}, with a score of up to {percent(self.shown.scores[rows].max())}"


def _counted(counts: Counter[str]) -> str:
    return listed(f"{count} {name}" for name, count in counts.most_common())


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def _share(value: float) -> str:
    return "–" if np.isnan(value) else percent(value)
