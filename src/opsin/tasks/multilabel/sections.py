"""What a report says of several labels: their scores, images with many errors, and labels that may be wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from opsin.base.formatting import listed, percent
from opsin.tasks.multilabel.label_result import LabelResult
from opsin.tasks.multilabel.suspects import Suspect
from opsin.tasks.section import Example, Section, Table

MAX_EXAMPLES = 12
MAX_SUSPECTS = 24

MAX_CAPTION_LABELS = 4


def sections(
    labels: Sequence[LabelResult],
    answers: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    worst: Sequence[int],
    suspected: Sequence[Suspect],
) -> list[Section]:
    """Return the sections of a report, the most important first. `answers` and `truth` are N × labels."""
    return [_labels(labels), *_worst(labels, answers, truth, worst), *_suspects(labels, suspected)]


def _labels(labels: Sequence[LabelResult]) -> Section:
    ordered = sorted(labels, key=lambda each: each.average_precision if each.images else 2.0)
    rows = tuple(
        (
            each.name, f"{each.images:,}", _number(each.average_precision), _number(each.f1), _number(each.precision),
            _number(each.recall), f"{each.threshold:.2f}",
        )
        for each in ordered
    )  # fmt: skip
    names = ("label", "images", "average precision", "F1", "precision", "recall", "threshold")
    text = (
        "The average precision is the mean precision over all thresholds: 1 if all images with the label have higher "
        "probabilities of it than those without; in a random order it is the share of the images with the label. F1, "
        "precision and recall are those of the answers, which give a label if its probability reaches the threshold."
    )
    return Section("Labels", (text,), Table(names, rows))


def _worst(
    labels: Sequence[LabelResult], answers: NDArray[np.bool_], truth: NDArray[np.bool_], worst: Sequence[int]
) -> list[Section]:
    examples = tuple(Example(image, _errors(labels, answers[image], truth[image])) for image in worst)
    return [Section("Images with the largest errors", examples=examples)] if examples else []


def _errors(labels: Sequence[LabelResult], answers: NDArray[np.bool_], truth: NDArray[np.bool_]) -> str:
    """Return a phrase on the labels that are missing in an answer, or wrong."""
    names = [each.name for each in labels]
    parts = (
        (what, [name for name, is_error in zip(names, errors, strict=True) if is_error])
        for what, errors in (("not found", truth & ~answers), ("wrong", answers & ~truth))
    )
    return "; ".join(f"{what}: {listed(found, MAX_CAPTION_LABELS)}" for what, found in parts if found)


def _suspects(labels: Sequence[LabelResult], suspected: Sequence[Suspect]) -> list[Section]:
    """Return the labels to check, if there are any."""
    if not suspected:
        return []
    examples = tuple(Example(each.image, _question(labels[each.label].name, each)) for each in suspected[:MAX_SUSPECTS])
    number = "One label contradicts" if len(suspected) == 1 else f"{len(suspected):,} labels contradict"
    text = f"{number} a confident answer; the most improbable ones come first. Check them: the answers may be right."
    return [Section("Labels to check", (text,), examples=examples)]


def _question(name: str, suspect: Suspect) -> str:
    what = "given" if suspect.given else "not given"
    return f"{name} is {what}; its probability is {percent(suspect.probability)}"


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"
