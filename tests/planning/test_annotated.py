"""Plans for annotated images follow the defaults of their task."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from opsin.base.errors import OpsinError
from opsin.data import AnnotatedImages, Dataset
from opsin.planning import autoconfig, networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import AutoPlan, TrainOptions
from opsin.tasks.detection import Boxes, ImageBoxes, ObjectDetection
from opsin.tasks.segmentation import Masks, SemanticSegmentation
from tests.planning.fake_machine import FakeMachine


def images(count: int, side: int) -> AnnotatedImages:
    """Return black squares without memory of their own, each with a box."""
    pixels = np.broadcast_to(np.zeros((1, 1, 1, 1), np.uint8), (count, 3, side, side))
    boxes = Boxes.stack([ImageBoxes.of([[0.2, 0.2, 0.7, 0.8]], [0], (side, side))] * count)
    return AnnotatedImages(pixels, boxes, ObjectDetection(("cat", "dog")))


def choose(options: TrainOptions, side: int = 480, machine: FakeMachine | None = None) -> AutoPlan:
    machine = machine or FakeMachine(weights=("fcos_efficientnet_lite0",))
    data = Dataset("boxes", images(200, side), images(40, side), True, images(40, side))
    choice = networks.choose_network(DatasetSummary.of(data), options, machine)
    size = choice.size or side
    read = replace(data, train=images(200, size), test=images(40, size), validation=images(40, size))
    return autoconfig.choose(choice, read, options, machine=machine)


def test_detectors_train_on_smaller_images_than_they_are_tested_on() -> None:
    found = choose(TrainOptions(budget=3600.0))
    defaults = ObjectDetection(("cat",)).defaults(
        DatasetSummary.of(Dataset("", images(2, 480), None, True)).annotated_images
    )
    (stage,) = found.plan.stages
    assert found.plan.network == defaults.network and found.plan.pretrained
    assert found.plan.size == defaults.side and stage.size == 352 < defaults.side
    assert (stage.batch, stage.learning_rate, stage.augment) == (
        defaults.batch, defaults.learning_rate, defaults.augment
    )  # fmt: skip


def test_images_without_random_crops_keep_their_size() -> None:
    (stage,) = choose(TrainOptions(budget=3600.0, augment="none")).plan.stages
    assert stage.size is None and stage.augment == "none"


def test_frozen_layers_are_those_with_published_weights() -> None:
    machine = FakeMachine(weights=("fcos_efficientnet_lite0",))
    found = choose(TrainOptions(budget=3600.0, freeze=True), machine=machine)
    (stage,) = found.plan.stages
    assert stage.frozen == ("backbone",) and not stage.features and stage.augment == "light"
    assert "keep them; with --augment none, their outputs are computed once" in " ".join(found.reasons)
    cached = choose(TrainOptions(budget=3600.0, freeze=True, augment="none"), machine=machine)
    (stage,) = cached.plan.stages
    assert stage.frozen == ("backbone",) and stage.features and stage.size is None
    assert "keep them; their outputs are computed once" in " ".join(cached.reasons)
    (flipped,) = choose(TrainOptions(epochs=2, freeze=True, augment="none", flip=True), machine=machine).plan.stages
    assert not flipped.features


def test_features_are_paid_for_once() -> None:
    machine = FakeMachine(weights=("fcos_efficientnet_lite0",))

    def seconds(epochs: int) -> float:
        options = TrainOptions(epochs=epochs, freeze=True, augment="none")
        return choose(options, machine=machine).expected.seconds

    first, second, third = seconds(1), seconds(2), seconds(3)
    assert third - second == pytest.approx(second - first)
    assert first - (second - first) > 200 * 0.008 * (384 / 224) ** 2


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"tta": True}, "test-time augmentation by mirror images is not possible for detection; leave it out"),
        ({"class_weights": True}, "class weights are for classifiers; leave them out for detectors"),
        ({"signed": "angle"}, "detection has no numbers that are signed; leave 'signed' out of the plan"),
    ],
)
def test_options_for_other_tasks_are_refused_before_anything_is_measured(options: dict[str, Any], text: str) -> None:
    machine = FakeMachine(weights=("fcos_efficientnet_lite0",))
    with pytest.raises(OpsinError, match=re.escape(text)):
        choose(TrainOptions(**options), machine=machine)
    assert machine.measured == []


def test_random_weights_are_not_kept() -> None:
    with pytest.raises(OpsinError, match=r"--freeze keeps published weights, but .* would be trained from scratch"):
        choose(TrainOptions(freeze=True, pretrained=False))


@pytest.mark.parametrize(("side", "size"), [(100, 224), (192, 384), (2000, 384)])
def test_small_images_are_enlarged_to_twice_their_size(side: int, size: int) -> None:
    assert choose(TrainOptions(budget=3600.0), side).plan.size == size


def test_the_time_is_that_of_the_smaller_images() -> None:
    seconds = [choose(TrainOptions(epochs=40, augment=level)).expected.seconds for level in ("light", "none")]
    assert (352 / 384) ** 2 < seconds[0] / seconds[1] < 0.9


def test_the_trainings_of_a_learning_curve_share_the_time() -> None:
    plain, curve = (choose(TrainOptions(budget=600.0, learning_curve=wanted)) for wanted in (False, True))
    assert plain.deadline is not None and curve.deadline is not None
    assert 0.9 < curve.deadline / (plain.deadline / 3) < 1  # each training ends with an int8 record of its own
    assert plain.plan.epochs > 2.5 * curve.plan.epochs
    assert any("trained again on a quarter and half of the images" in reason for reason in curve.reasons)
    with pytest.raises(OpsinError, match=r"try --budget (\d+)min") as refusal:
        choose(TrainOptions(budget=60.0, epochs=40, learning_curve=True))
    minutes = int(str(refusal.value).rpartition(" ")[2].removesuffix("min")) + 1
    assert choose(TrainOptions(budget=60.0 * minutes, epochs=40, learning_curve=True)).plan.epochs == 40
    with pytest.raises(OpsinError):
        choose(TrainOptions(budget=60.0 * minutes / 2, epochs=40, learning_curve=True))


def segmentation_plan(options: TrainOptions, *weights: str) -> AutoPlan:
    """Return the plan for 300 images of 256 × 256 with masks of three classes, the last of them rare."""

    def masked(count: int, side: int) -> AnnotatedImages:
        pixels = np.broadcast_to(np.zeros((1, 1, 1, 1), np.uint8), (count, 3, side, side))
        ids = np.broadcast_to(np.zeros((1, 1, 1), np.uint8), (count, side, side)).copy()
        ids[:, 0, 0], ids[0, 0, 1] = 1, 2
        return AnnotatedImages(pixels, Masks(ids), SemanticSegmentation(("background", "cell", "nerve")))

    machine = FakeMachine(weights=weights)
    data = Dataset("masks", masked(300, 256), masked(40, 256), True, masked(40, 256))
    choice = networks.choose_network(DatasetSummary.of(data), options, machine)
    return autoconfig.choose(choice, data, options, machine=machine)


def test_published_batch_normalization_stays_as_it_is() -> None:
    plan = segmentation_plan(TrainOptions(budget=3600.0), "unet_light").plan
    assert plan.pretrained and plan.network == "unet_light"
    assert plan.stages[0].frozen and all(path.startswith("backbone.") for path in plan.stages[0].frozen)
    scratch = segmentation_plan(TrainOptions(budget=3600.0)).plan
    assert not scratch.pretrained and scratch.stages[0].frozen == ()


def test_rare_classes_of_pixels_are_weighted_only_if_the_options_say_so() -> None:
    plain = segmentation_plan(TrainOptions(budget=3600.0)).plan
    assert plain.class_weights is None and plain.logit_adjustment is None
    weights = segmentation_plan(TrainOptions(budget=3600.0, class_weights=True)).plan.class_weights
    assert weights is not None and weights[2] > weights[1] == weights[0]


@pytest.mark.parametrize("network", ["lenet5", "ssdlite320_mobilenet_v3_large", "pilotnet"])
def test_a_network_for_another_task_is_refused(network: str) -> None:
    with pytest.raises(OpsinError, match=r"the network gives .*, but there are 3 classes for each pixel of "):
        segmentation_plan(TrainOptions(network=network))
