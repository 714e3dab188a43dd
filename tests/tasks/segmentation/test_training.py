"""Training a segmentation network end to end, with the native engine, and using its model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from opsin.base.errors import ShapeError, UsageError
from opsin.model import Model
from opsin.model import load as load_model
from opsin.tasks.segmentation.answers import Segmentation
from opsin.training import Epoch, Stage, Trainer, TrainingPlan
from tests.tasks.segmentation.discs import CLASSES, SIDE, disc_data, disc_images, pixel_network

STAGE = Stage(epochs=6, batch=4, learning_rate=0.02, augment="light")
PLAN = TrainingPlan(network="pixels", stages=(STAGE,), ema=0.9)


def trained(plan: TrainingPlan = PLAN, classes: tuple[str, ...] = CLASSES, threads: int = 2) -> tuple[Model, list[Any]]:
    trainer = Trainer(plan, disc_data(classes), network=pixel_network(len(classes)), threads=threads)
    events = list(trainer)
    return trainer.model, events


@pytest.fixture(scope="module")
def run() -> tuple[Model, list[Any]]:
    return trained()


def test_the_network_learns_shapes(run: tuple[Model, list[Any]]) -> None:
    model, events = run
    first, *_, last = (event for event in events if isinstance(event, Epoch))
    assert first.loss > 2 * last.loss and first.accuracy is None
    evaluation = model.evaluate(disc_images(12, 2))
    metrics = evaluation.score.metrics
    assert next(iter(metrics)) == "mean_iou" and metrics["mean_iou"] > 0.8
    assert metrics["pixel_accuracy"] > 0.93 and metrics["mean_dice"] > 0.88
    assert metrics == events[-1].test.metrics
    assert model.record["test"]["mean_iou"] == metrics["mean_iou"]
    assert str(evaluation).startswith(f"mean IoU {metrics['mean_iou']:.3f}, boundary F1 ")


def test_one_foreground_class_is_measured_by_its_iou() -> None:
    plan = replace(PLAN, stages=(replace(STAGE, epochs=1),))
    _, events = trained(plan, ("background", "disc"))
    metrics = events[-1].test.metrics
    assert next(iter(metrics)) == "foreground_iou" and 0 <= metrics["foreground_iou"] <= 1


def test_bits_do_not_depend_on_threads() -> None:
    plan = replace(PLAN, stages=(replace(STAGE, epochs=1),))
    (one, one_events), (two, two_events) = trained(plan, threads=1), trained(plan, threads=2)
    assert all((one.state[name] == two.state[name]).all() for name in one.state)
    assert one.calibration == two.calibration
    assert one_events[-1].test == two_events[-1].test


def test_a_saved_model_gives_the_same_answers(run: tuple[Model, list[Any]], tmp_path: Path) -> None:
    model, images = run[0], np.asarray(disc_images(5, 7).pixels)
    model.save(tmp_path / "discs.opsin")
    again = load_model(tmp_path / "discs.opsin")
    assert again.task == model.task and again.calibration == model.calibration
    assert again.check() < 1e-6
    for mine, theirs in zip(model.predict(images), again.predict(images), strict=True):
        assert (mine.ids == theirs.ids).all() and mine.confidence == theirs.confidence


def test_answers_have_the_size_of_the_image(run: tuple[Model, list[Any]]) -> None:
    model, images = run[0], disc_images(1, 7)
    photo = Image.fromarray(np.asarray(images.pixels[0]).transpose(1, 2, 0))
    small, large = model.predict([photo, photo.resize((3 * SIDE, 3 * SIDE), Image.Resampling.BICUBIC)])
    assert small.ids.shape == (SIDE, SIDE) and large.ids.shape == (3 * SIDE, 3 * SIDE)
    assert (large.ids[1::3, 1::3] == small.ids).mean() > 0.95
    assert small.confidence == pytest.approx((small.ids == images.targets.ids[0]).mean(), abs=0.1)


def test_mirror_images_are_mirrored_back(run: tuple[Model, list[Any]]) -> None:
    model, pixels = run[0], disc_images(4, 8).pixels
    assert isinstance(pixels, np.ndarray)
    both = replace(model, tta="hflip", _programs={})
    plain, mirrored = (model.logits(images) for images in (pixels, np.ascontiguousarray(pixels[..., ::-1])))
    assert np.allclose(both.logits(pixels), (plain + mirrored[..., ::-1]) / 2, atol=1e-6)


def test_a_stage_on_features_is_measured_like_the_whole_network() -> None:
    stage = Stage(epochs=2, batch=4, learning_rate=0.02, augment="none", frozen=("conv1",), features=True)
    model, events = trained(replace(PLAN, stages=(stage,)))
    epochs = [event for event in events if isinstance(event, Epoch)]
    score = model.evaluate(disc_images(12, 1)).score
    assert epochs[-1].held_out.loss == pytest.approx(score.loss, rel=2e-3)  # features have half precision
    assert epochs[-1].held_out.metrics["mean_iou"] == pytest.approx(score.metrics["mean_iou"], abs=0.01)


def test_errors_before_training() -> None:
    data = disc_data()
    with pytest.raises(ShapeError, match=r"there are 3 classes for each pixel .*Conv2d\(3, 1\)"):
        Trainer(PLAN, data, network=pixel_network(2))
    adjusted = replace(PLAN, logit_adjustment=(0.0, 1.0, 2.0))
    with pytest.raises(UsageError, match="give class weights"):
        Trainer(adjusted, data, network=pixel_network(3))


def test_truth_is_a_perfect_answer() -> None:
    images = disc_images(3, 4)
    (first, *_) = truth = images.task.truth(images.targets)
    assert all(isinstance(answer, Segmentation) for answer in truth)
    assert (first.ids == images.targets.ids[0]).all() and sum(first.shares) == pytest.approx(1)
