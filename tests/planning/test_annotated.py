"""Plans for annotated images follow the defaults of their task."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from opsin.data import AnnotatedImages, Dataset
from opsin.planning import autoconfig, networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import AutoPlan, TrainOptions
from opsin.tasks.detection import Boxes, ImageBoxes, ObjectDetection
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


@pytest.mark.parametrize(("side", "size"), [(100, 224), (192, 384), (2000, 384)])
def test_small_images_are_enlarged_to_twice_their_size(side: int, size: int) -> None:
    assert choose(TrainOptions(budget=3600.0), side).plan.size == size


def test_the_time_is_that_of_the_smaller_images() -> None:
    seconds = [choose(TrainOptions(epochs=40, augment=level)).expected.seconds for level in ("light", "none")]
    assert (352 / 384) ** 2 < seconds[0] / seconds[1] < 0.9
