"""Reports on annotated tasks: what an evaluation says of itself, with truth and answers drawn on images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import numpy as np
from PIL import Image

from opsin import __version__
from opsin.base import random_counter
from opsin.data import Dataset, Samples
from opsin.model import Model
from opsin.report.common import SECONDS, SPEED_TIME, Report, evaluated_images, known_facts
from opsin.report.drawing import as_image, draw_truth, drawing_size
from opsin.report.metric_robustness import MetricRobustness, measure_metric_robustness, suitable_corruptions
from opsin.report.neighbours import sections_by_neighbours
from opsin.report.robustness import corrupted_examples
from opsin.report.speed import measure_speed
from opsin.report.thumbnails import ThumbnailStore, jpeg_url
from opsin.tasks.score import Score
from opsin.tasks.section import Section
from opsin.tasks.task import AnnotatedEvaluation
from opsin.training.learning_curve import KEY, DataCurve

ROBUSTNESS_TIME, NEIGHBOURS_TIME = 0.6, 0.15
"""The shares of the time for a report that are spent on corrupted images, and on finding similar images."""

TYPICAL_IMAGES = 6
"""Images that are chosen at random, since those with the largest errors are not typical."""

MAX_EXPLAINED = 4
"""Images with errors that a page of `opsin see` explains, to which the report links: networks for places are large."""

MAX_DRAWN = 48
"""Images on which truth and answer are drawn: up to about 4 MB."""

DRAWING_SIDE, DRAWING_QUALITY = 480, 78
"""The largest side of these in pixels, and their JPEG quality."""

TYPICAL_ORDER = 106
"""Purpose of random numbers (see `opsin.base.random_counter`)."""


@dataclass(frozen=True)
class DrawnExample:
    """An image with the keys of its two drawings in the thumbnail store, and both in words."""

    name: str
    truth: str
    answer: str
    truth_text: str
    answer_text: str


@dataclass(frozen=True, eq=False, kw_only=True)
class TaskReport(Report):
    """The measurements of a model for an annotated `task`.

    `subject` is a phrase such as "objects of 3 classes". `is_constant`: giving the same answer for all images would
    score as well. `label_counts` are the training images that show each label, if there are labels and the model was
    trained on this data; these are `training_images`. `drawn` are images by their number among the measured ones, and
    `typical` the numbers of some that were chosen at random. `calibration` is the model's, as data. `curve` is
    the learning curve that was measured when the model was trained.
    """

    task: str
    subject: str
    evaluation: AnnotatedEvaluation
    score: Score
    sections: tuple[Section, ...]
    is_constant: bool
    training_images: int
    label_counts: tuple[tuple[str, int], ...]
    calibration: dict[str, Any] | None
    drawn: dict[int, DrawnExample]
    typical: tuple[int, ...]
    curve: DataCurve | None
    robustness: MetricRobustness | None
    corrupted_examples: tuple[str, ...]

    def to_data(self) -> dict[str, Any]:
        """Return everything but the drawings, for JSON."""
        return {
            "opsin": __version__, "model": self.model, "network": self.network, "data": self.data, "task": self.task,
            "measured_on": self.split, "images": self.score.images, "metrics": dict(self.score.metrics),
            "loss": self.score.loss, "evaluation": self.evaluation.to_data(), "is_constant": self.is_constant,
            "sections": [self._section(section) for section in self.sections], "calibration": self.calibration,
            "training_images": self.training_images, "label_counts": dict(self.label_counts),
            "learning_curve": self.curve.to_data() if self.curve else None,
            "robustness": self.robustness.to_data() if self.robustness else None, "speed": self.speed.to_data(),
            "receipt": self.receipt.to_data() if self.receipt else None,
            "history": [epoch.to_data() for epoch in self.history], "training": self.record, "seconds": self.seconds,
        }  # fmt: skip

    def _section(self, section: Section) -> dict[str, Any]:
        """Return a section without its figures, which show what the evaluation says."""
        examples = [{"image": self.name_of(each.image), "caption": each.caption} for each in section.examples]
        table = asdict(section.table) if section.table else None
        return {"heading": section.heading, "paragraphs": section.paragraphs, "table": table, "examples": examples}

    @property
    def explained(self) -> tuple[int, ...]:
        """The numbers of the images with the largest errors, which a page of `opsin see` explains."""
        return tuple(self.evaluation.worst(MAX_EXPLAINED))

    def name_of(self, image: int) -> str:
        """Return what to call an image."""
        return self.drawn[image].name if image in self.drawn else f"image {image + 1:,}"


def measure_task(model: Model, data: Dataset, seconds: float = SECONDS) -> TaskReport:
    """Measure `model` on the test split of `data`, or on all of it if the model was trained on other data.

    Takes about `seconds` and the time of the evaluation itself. Raise `DataError` if the data is for another task, has
    no images to measure on, or asks for something that the model does not know.
    """
    begin, thumbnails, task = perf_counter(), ThumbnailStore(), model.task
    facts = known_facts(model, data, task.metric(False))
    images = evaluated_images(model, data).stacked(model.preprocessing.frames)
    evaluation: AnnotatedEvaluation = model.evaluate(images)
    references = data.train.stacked(model.preprocessing.frames) if facts["trained_here"] else images
    by_neighbours = sections_by_neighbours(model, evaluation, images, references, NEIGHBOURS_TIME * seconds)
    score, sections = evaluation.score, (*evaluation.sections(), *by_neighbours)
    typical = tuple(random_counter.order(len(images), 0, TYPICAL_ORDER)[:TYPICAL_IMAGES].tolist())
    numbers = dict.fromkeys([*(each.image for part in sections for each in part.examples), *typical])
    is_image = images.input is None
    robustness = measure_metric_robustness(model, images, ROBUSTNESS_TIME * seconds) if is_image else None
    kinds = suitable_corruptions(task)
    return TaskReport(
        task=task.name, subject=task.subject(), evaluation=evaluation, score=score, sections=sections,
        is_constant=task.is_constant(score, task.align(images.task, images.targets)), training_images=len(data.train),
        label_counts=_label_counts(data) if facts["trained_here"] else (),
        calibration=model.calibration.to_data() if model.calibration is not None else None,
        drawn=_draw(model, images, list(numbers)[:MAX_DRAWN], thumbnails), typical=typical,
        curve=DataCurve.from_data(model.record.get(KEY, {})), robustness=robustness,
        corrupted_examples=corrupted_examples(images.single().pixels[0], kinds, thumbnails) if robustness else (),
        speed=measure_speed(model, SPEED_TIME * seconds), seconds=perf_counter() - begin, thumbnails=thumbnails.urls,
        **facts,
    )  # fmt: skip


def _label_counts(data: Dataset) -> tuple[tuple[str, int], ...]:
    counts = data.train.counts()
    return tuple(zip(data.task.labels, counts, strict=True)) if counts else ()


def _draw(model: Model, images: Samples, numbers: Sequence[int], thumbnails: ThumbnailStore) -> dict[int, DrawnExample]:
    """Draw truth and answer on the images with these numbers."""
    return {number: _drawn_example(model, images, number, thumbnails) for number in numbers}


def _drawn_example(model: Model, images: Samples, number: int, thumbnails: ThumbnailStore) -> DrawnExample:
    task, one, size = model.task, images.take(np.array([number])), drawing_size(images.shape)
    pixels, targets = one.single().pixels[:], task.align(one.task, one.targets)
    answer = task.answers(model.outputs(one.pixels[:]), [size], model.calibration, None)[0]
    if images.input is None:
        drawings = {
            "truth": draw_truth(task, pixels[0], targets, size),
            "answer": task.draw(as_image(pixels[0], size), answer),
        }
    else:
        rendered = Image.fromarray(images.input.render(pixels[0]))
        drawings = {"truth": task.draw(rendered, task.truth(targets)[0]), "answer": task.draw(rendered, answer)}
    keys = {name: f"{name}-{number}" for name in drawings}
    for name, drawing in drawings.items():
        thumbnails.urls[keys[name]] = jpeg_url(drawing, DRAWING_SIDE, DRAWING_QUALITY)
    name = one.names[0] if one.names else f"image {number + 1:,}"
    return DrawnExample(name, keys["truth"], keys["answer"], str(task.truth(targets)[0]), str(answer))
