"""The account: everything that a report says about a model, measured once, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from opsin import __version__
from opsin.base import random_counter
from opsin.base.errors import GraphError
from opsin.data import Dataset, LabeledImages
from opsin.data.ingest.receipt import Receipt
from opsin.model import Evaluation, Model
from opsin.model.calibration import Calibration
from opsin.report.examples import (
    Abstention,
    EvaluatedSet,
    Example,
    LabelIssues,
    cells,
    confident_mistakes,
    known,
    suspects,
)
from opsin.report.features import HeadFeatures, find_trunk
from opsin.report.gallery import Album
from opsin.report.history import EpochRecord, moments
from opsin.report.label_issues import held_out_probabilities
from opsin.report.learning_curve import LearningCurve, learning_curve
from opsin.report.logistic import choose_penalty
from opsin.report.robustness import KINDS, Robustness, robustness
from opsin.report.speed import Speed, measure
from opsin.report.statistics import ClassFigures, Reliability, Share, class_figures, reliability

SECONDS = 80.0
"""What an account may take where nothing else is said, apart from compiling and the evaluation itself."""

FEATURES, SPOILING, TIMING = 0.6, 0.25, 0.05
"""Shares of that time."""

ORDERING = 105
"""What random numbers are for (see `opsin.base.random_counter`)."""

FEWEST = 50
"""With fewer images than this there is nothing to learn about labels."""


@dataclass(frozen=True, eq=False)
class ModelReport:
    """What was found about the model called `model`, on images of `data` that it has not learnt from.

    What could not be measured is None. `trained_here`: it learnt from other images of the same data. `baseline` is
    the label that is right most often if it is always said. `cells` are images of the confusion matrix by (class,
    answer), `example` small copies of an image spoilt in each of `robustness.KINDS`' ways, at each strength,
    `thumbnails` small copies by key.
    """

    model: str
    network: str
    data: str
    record: dict[str, Any]
    trained_here: bool
    shape: tuple[int, int, int]
    evaluation: Evaluation
    accuracy: Share
    baseline: tuple[str, Share]
    classes: tuple[ClassFigures, ...]
    reliability: Reliability
    calibration: Calibration | None
    known: Abstention | None
    history: tuple[EpochRecord, ...]
    mistakes: tuple[Example, ...]
    cells: dict[tuple[int, int], tuple[Example, ...]]
    suspects: LabelIssues | None
    learning_curve: LearningCurve | None
    robustness: Robustness | None
    example: tuple[str, ...]
    speed: Speed
    receipt: Receipt | None
    seconds: float
    thumbnails: dict[str, str] = field(default_factory=dict, repr=False)

    def to_data(self) -> dict[str, Any]:
        """Everything but the small copies, for JSON."""
        label, share = self.baseline
        parts: dict[str, Any] = {
            "accuracy": self.accuracy, "reliability": self.reliability, "calibration": self.calibration,
            "known": self.known, "suspects": self.suspects, "learning_curve": self.learning_curve,
            "robustness": self.robustness, "speed": self.speed, "receipt": self.receipt,
        }  # fmt: skip
        return {
            "opsin": __version__, "model": self.model, "network": self.network, "data": self.data,
            "images": self.evaluation.images, "correct": self.evaluation.correct, "loss": self.evaluation.loss,
            "confusion": {
                "classes": list(self.evaluation.classes), "counts": self.evaluation.confusion.tolist()
            },
            "baseline": {"label": label, **share.to_data()}, "classes": [each.to_data() for each in self.classes],
            **{name: part.to_data() if part else None for name, part in parts.items()},
            "history": [moment.to_data() for moment in self.history],
            "mistakes": [seen.to_data() for seen in self.mistakes], "training": self.record, "seconds": self.seconds,
        }  # fmt: skip


def measure_model(model: Model, data: Dataset, *, seconds: float = SECONDS) -> ModelReport:
    """Measures `model` on the test part of `data`; on all of it, where the model was trained on other data.

    Takes about `seconds` and the time of the evaluation itself; costly parts look at fewer images where there is no
    time for all of them, and say so. `DataError` where the data has classes that the model does not know.
    """
    begin, album = perf_counter(), Album()
    trained_here = data.fingerprint == model.record.get("fingerprint")
    held_out = data.require_test() if trained_here or data.predefined_split else data.all_images()
    look = EvaluatedSet(
        "test",
        held_out,
        model.numbers(held_out),
        model.probabilities(held_out.pixels),
        model.labels,
        np.arange(len(held_out)),
    )
    evaluation = Evaluation.of(look.probabilities, look.labels, model.labels)
    mistakes = confident_mistakes(look, album)
    doubts, curve = _of_features(model, data, look, FEATURES * seconds, album) if trained_here else (None, None)
    if not trained_here and len(held_out) >= FEWEST:  # the model itself has not seen these labels
        doubts = suspects(look, len(held_out), True, album)
    result = robustness(model, held_out, SPOILING * seconds)
    return ModelReport(
        model.name, model.network, data.name, model.record, trained_here, model.preprocessing.shape,
        evaluation, Share(evaluation.correct, evaluation.images), _baseline(evaluation), class_figures(evaluation),
        reliability(look.probabilities, look.labels), model.calibration, known(look, model.calibration),
        moments(model.record) if trained_here else (), mistakes, cells(look, album), doubts, curve, result,
        _example(held_out, album) if result else (), measure(model, TIMING * seconds), data.receipt,
        perf_counter() - begin, album.copies,
    )  # fmt: skip


def _baseline(evaluation: Evaluation) -> tuple[str, Share]:
    counts = evaluation.confusion.sum(axis=1)
    most = int(counts.argmax())
    return evaluation.classes[most], Share(int(counts[most]), int(counts.sum()))


def _of_features(
    model: Model, data: Dataset, look: EvaluatedSet, seconds: float, album: Album
) -> tuple[LabelIssues | None, LearningCurve | None]:
    """What the features of the training images say about their labels, and about how many of them are needed."""
    trunk = _trunk(model)
    if trunk is None or len(data.train) < FEWEST:
        return None, None
    begin = perf_counter()
    asked_order = random_counter.order(len(look.labels), 0, ORDERING)
    asked = trunk.features(look.images.pixels, asked_order, seconds / 3)
    order = random_counter.order(len(data.train), 0, ORDERING)
    features = trunk.features(data.train.pixels, order, seconds - (perf_counter() - begin))
    seen = data.train.take(order[: len(features)])
    labels, truth = model.numbers(seen), look.labels[asked_order[: len(asked)]]
    if len(labels) < FEWEST or (np.bincount(labels) > 1).sum() < 2:
        return None, None
    penalty = choose_penalty(features, labels, len(model.labels))
    shares = held_out_probabilities(features, labels, len(model.labels), penalty)
    train = EvaluatedSet("train", seen, labels, shares, model.labels, order[: len(features)])
    doubts = suspects(train, len(data.train), trunk.published, album)
    return doubts, learning_curve((features, labels), (asked, truth), model.labels, penalty)


def _trunk(model: Model) -> HeadFeatures | None:
    try:
        return find_trunk(model)
    except GraphError:  # the network has no layer with weights
        return None


def _example(images: LabeledImages, album: Album) -> tuple[str, ...]:
    """The first image, spoilt in every way."""
    pixels = images.pixels[0]
    spoilt = [spoil(pixels, 1) for _, strengths in KINDS for _, spoil in strengths]
    return tuple(album.show(f"spoilt-{number}", each) for number, each in enumerate(spoilt))
