"""Reports on classifiers: all measurements of a model, made once, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import __version__
from opsin.base import random_counter
from opsin.base.errors import DataError, GraphError
from opsin.data import Dataset, Samples
from opsin.explain.features import PenultimateFeatures, feature_extractor
from opsin.model import Evaluation, Model
from opsin.report.common import SECONDS, SPEED_TIME, Report, evaluated_images, known_facts
from opsin.report.examples import (
    MAX_EXPLAINED,
    Abstention,
    EvaluatedSet,
    Example,
    LabelIssues,
    confident_mistakes,
    confusion_examples,
    find_label_issues,
    measure_abstention,
)
from opsin.report.explained_samples import explained
from opsin.report.label_issues import held_out_probabilities
from opsin.report.learning_curve import LearningCurve, learning_curve
from opsin.report.logistic import choose_penalty
from opsin.report.robustness import CORRUPTIONS, Robustness, corrupted_examples, measure_robustness
from opsin.report.speed import measure_speed
from opsin.report.statistics import ClassFigures, Reliability, Share, class_figures, reliability
from opsin.report.thumbnails import ThumbnailStore
from opsin.tasks.classification.calibration import Calibration
from opsin.tasks.score import ACCURACY
from opsin.training.few_shot_trainer import LEFT_OUT, is_few_shot, left_out_images

FEATURE_TIME, ROBUSTNESS_TIME, EXPLANATION_TIME = 0.6, 0.25, 0.25
"""Shares of the time for a report."""

FEATURE_ORDER = 105
"""Purpose of random numbers (see `opsin.base.random_counter`)."""

MIN_IMAGES_TO_JUDGE_LABELS = 50
"""With fewer images, labels are not judged."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelReport(Report):
    """The measurements of a classifier.

    `baseline` is the most frequent label, with the accuracy of always answering it. `confusion_examples` are images of
    the confusion matrix by (class, answer). `corrupted_examples` are thumbnails of one image under each of
    `CORRUPTIONS` at each severity.
    """

    evaluation: Evaluation
    accuracy: Share
    baseline: tuple[str, Share]
    classes: tuple[ClassFigures, ...]
    reliability: Reliability
    calibration: Calibration | None
    abstention: Abstention | None
    mistakes: tuple[Example, ...]
    confusion_examples: dict[tuple[int, int], tuple[Example, ...]]
    label_issues: LabelIssues | None
    learning_curve: LearningCurve | None
    robustness: Robustness | None
    corrupted_examples: tuple[str, ...]

    @property
    def explained(self) -> tuple[int, ...]:
        """The numbers of the images that a page of `opsin see` explains: the most confident mistakes."""
        return tuple(example.number for example in self.mistakes[:MAX_EXPLAINED])

    def to_data(self) -> dict[str, Any]:
        """Return everything but the thumbnails, for JSON."""
        label, share = self.baseline
        sections: dict[str, Any] = {
            "accuracy": self.accuracy, "reliability": self.reliability, "calibration": self.calibration,
            "known": self.abstention, "suspects": self.label_issues, "learning_curve": self.learning_curve,
            "robustness": self.robustness, "speed": self.speed, "receipt": self.receipt,
        }  # fmt: skip
        return {
            "opsin": __version__, "model": self.model, "network": self.network, "data": self.data,
            "measured_on": self.split, "images": self.evaluation.images, "correct": self.evaluation.correct,
            "loss": self.evaluation.loss,
            "confusion": {
                "classes": list(self.evaluation.classes), "counts": self.evaluation.confusion.tolist()
            },
            "baseline": {"label": label, **share.to_data()}, "classes": [each.to_data() for each in self.classes],
            **{name: section.to_data() if section else None for name, section in sections.items()},
            "history": [epoch.to_data() for epoch in self.history],
            "mistakes": [example.to_data() for example in self.mistakes],
            "training": self.record, "seconds": self.seconds,
        }  # fmt: skip


def measure_classifier(model: Model, data: Dataset, seconds: float = SECONDS) -> ModelReport:
    """Measure `model` on the test split of `data`, or on all of it if the model was trained on other data.

    Takes about `seconds` and the time of the evaluation itself. Expensive measurements use a sample if there is no
    time for all images, and report its size. Raise `DataError` if the data has classes that the model does not know.
    """
    begin, thumbnails = perf_counter(), ThumbnailStore()
    facts, images = known_facts(model, data, ACCURACY), evaluated_images(model, data)
    if facts["trained_here"] and facts["split"] == "training" and is_few_shot(model):
        facts["split"] = LEFT_OUT
        images, probabilities = _left_out(model, images)
    else:
        probabilities = model.probabilities(images.pixels)
    evaluated = EvaluatedSet(
        facts["split"], images, model.label_indices(images), probabilities, model.labels, np.arange(len(images)),
    )  # fmt: skip
    evaluation = Evaluation.from_probabilities(evaluated.probabilities, evaluated.labels, model.labels)
    mistakes = explained(model, images, confident_mistakes(evaluated, thumbnails), EXPLANATION_TIME * seconds)
    issues, curve = None, None
    if facts["trained_here"]:
        issues, curve = _measure_features(model, data, evaluated, FEATURE_TIME * seconds, thumbnails)
    elif len(images) >= MIN_IMAGES_TO_JUDGE_LABELS:  # the model itself was not trained on these labels
        issues = find_label_issues(evaluated, len(images), True, thumbnails)
    robustness = measure_robustness(model, images, ROBUSTNESS_TIME * seconds) if images.input is None else None
    return ModelReport(
        evaluation=evaluation, accuracy=Share(evaluation.correct, evaluation.images), baseline=_baseline(evaluation),
        classes=class_figures(evaluation), reliability=reliability(evaluated.probabilities, evaluated.labels),
        calibration=model.calibration, abstention=measure_abstention(evaluated, model.calibration), mistakes=mistakes,
        confusion_examples=confusion_examples(evaluated, thumbnails), label_issues=issues, learning_curve=curve,
        robustness=robustness,
        corrupted_examples=corrupted_examples(images.pixels[0], CORRUPTIONS, thumbnails) if robustness else (),
        speed=measure_speed(model, SPEED_TIME * seconds), seconds=perf_counter() - begin, thumbnails=thumbnails.urls,
        **facts,
    )  # fmt: skip


def _left_out(model: Model, images: Samples) -> tuple[Samples, NDArray[np.float64]]:
    """Return the images of a few-shot model that can be left out, and their probabilities by fits of the others.

    Raise `DataError` if there are none.
    """
    results = left_out_images(model, images)
    if not len(results):
        raise DataError(
            "the model was made of one image of each class, and none is left to measure it with; measure it on others: "
            f"opsin evaluate {model.name} DATA"
        )
    outputs = {"logits": results.reduced[0]}
    probabilities: NDArray[np.float64] = model.task.probabilities(outputs, model.calibration)
    return images.take(results.images), probabilities


def _baseline(evaluation: Evaluation) -> tuple[str, Share]:
    counts = evaluation.confusion.sum(axis=1)
    most_frequent = int(counts.argmax())
    return evaluation.classes[most_frequent], Share(int(counts[most_frequent]), int(counts.sum()))


def _measure_features(
    model: Model, data: Dataset, evaluated: EvaluatedSet, seconds: float, thumbnails: ThumbnailStore
) -> tuple[LabelIssues | None, LearningCurve | None]:
    """Return label issues and learning curve of the training images, by their penultimate features."""
    extractor = _feature_extractor(model)
    if extractor is None or len(data.train) < MIN_IMAGES_TO_JUDGE_LABELS:
        return None, None
    begin = perf_counter()
    held_out_order = random_counter.order(len(evaluated.labels), 0, FEATURE_ORDER)
    held_out = extractor.compute(evaluated.images.pixels, held_out_order, seconds / 3)
    order = random_counter.order(len(data.train), 0, FEATURE_ORDER)
    features = extractor.compute(data.train.pixels, order, seconds - (perf_counter() - begin))
    order = order[: len(features)]
    sample = data.train.take(order)
    labels, held_out_labels = model.label_indices(sample), evaluated.labels[held_out_order[: len(held_out)]]
    if len(labels) < MIN_IMAGES_TO_JUDGE_LABELS or (np.bincount(labels) > 1).sum() < 2:
        return None, None
    penalty = choose_penalty(features, labels, len(model.labels))
    probabilities = held_out_probabilities(features, labels, len(model.labels), penalty)
    train = EvaluatedSet("train", sample, labels, probabilities, model.labels, order)
    issues = find_label_issues(train, len(data.train), extractor.independent, thumbnails)
    return issues, learning_curve((features, labels), (held_out, held_out_labels), model.labels, penalty)


def _feature_extractor(model: Model) -> PenultimateFeatures | None:
    try:
        return feature_extractor(model)
    except GraphError:  # the network has no layer with weights
        return None
