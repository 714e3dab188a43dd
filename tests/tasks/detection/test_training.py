"""Training a detector from scratch on generated images, and what the model then finds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from opsin.base.errors import UsageError
from opsin.model import Model, load
from opsin.tasks.detection.boxes import iou
from opsin.tasks.detection.evaluation import DetectionEvaluation
from opsin.training import Epoch, Event, Finished, Trainer, Warning
from tests.tasks.detection import rectangles

EPOCHS = 10


@pytest.fixture(scope="module")
def trained() -> tuple[Model, list[Event]]:
    trainer = Trainer(rectangles.plan(EPOCHS), rectangles.dataset())
    events = list(trainer)
    return trainer.model, events


def evaluated(model: Model, count: int = 16) -> DetectionEvaluation:
    found: DetectionEvaluation = model.evaluate(rectangles.images(count, 3))
    return found


def of_kind(events: Iterable[Event], kind: type[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


def test_it_learns(trained: tuple[Model, list[Event]]) -> None:
    model, events = trained
    metrics = evaluated(model).score.metrics
    assert metrics["ap50"] > 0.8 and metrics["ap50"] > metrics["ap"] > 0.3
    losses = [event.loss for event in events if isinstance(event, Epoch)]
    assert len(losses) == EPOCHS and losses[-1] < 0.5 * losses[0] < 0.5 * model.task.chance_loss
    assert len(of_kind(events, Finished)) == 1 and not of_kind(events, Warning)


def test_objects_are_found_where_they_are(trained: tuple[Model, list[Event]]) -> None:
    model, _ = trained
    images = rectangles.images(6, 4)
    sizes = [(rectangles.SIDE, rectangles.SIDE)] * 6
    answers = model.task.answers(model.outputs(images.pixels), sizes, model.calibration, None)
    assert answers == model.predict(np.asarray(images.pixels))
    truth = images.targets
    scale = np.full(4, rectangles.SIDE, np.float32)
    matches = objects = 0
    for image, answer in enumerate(answers):
        one = truth.of(image)
        objects += len(one)
        for label, box in zip(one.classes, one.coordinates * scale, strict=True):
            same = [found.box for found in answer if found.label == rectangles.TASK.labels[label]]
            matches += bool(same) and bool(iou(box[None], np.array(same)).max() > 0.5)
    assert matches >= 0.7 * objects > 4


def test_the_threshold_is_chosen_on_the_validation_images(trained: tuple[Model, list[Event]]) -> None:
    model, _ = trained
    assert model.calibration.images == 16 and 0.1 < model.calibration.score < 0.9
    assert evaluated(model).min_score == model.calibration.score
    assert model.calibrate(rectangles.images(16, 1)) == model.calibration


def test_a_saved_model_gives_the_same_answers(trained: tuple[Model, list[Event]], tmp_path: Path) -> None:
    model, _ = trained
    model.save(tmp_path / "rectangles.opsin")
    loaded = load(tmp_path / "rectangles.opsin")
    pixels = np.asarray(rectangles.images(5, 5).pixels)
    assert loaded.check() == 0 and loaded.task == model.task and loaded.calibration == model.calibration
    answers = loaded.predict(pixels)
    assert answers == model.predict(pixels) and sum(map(len, answers)) > 0
    assert evaluated(loaded).to_data() == evaluated(model).to_data()


def test_results_do_not_depend_on_threads() -> None:
    models = []
    for threads in (1, 2):
        trainer = Trainer(rectangles.plan(1, "strong"), rectangles.dataset(24, 8), threads=threads)
        list(trainer)
        models.append(trainer.model)
    one, two = models
    assert all(np.array_equal(one.state[name], two.state[name]) for name in one.state)
    assert one.calibration == two.calibration
    assert evaluated(one, 8).to_data() == evaluated(two, 8).to_data()


def test_a_stage_may_train_on_smaller_images() -> None:
    trainer = Trainer(rectangles.plan(1, size=48), rectangles.dataset(16, 8))
    events = list(trainer)
    assert len(of_kind(events, Finished)) == 1
    assert trainer.model.task.input_size == (rectangles.SIDE, rectangles.SIDE)


def test_a_classifier_cannot_be_trained_on_boxes() -> None:
    plan = replace(rectangles.plan(1), network="resnet18")
    with pytest.raises(UsageError, match="resnet18 finds no objects; choose a detector"):
        Trainer(plan, rectangles.dataset(8, 8))
