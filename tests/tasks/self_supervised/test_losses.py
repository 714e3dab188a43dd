"""The losses as graphs: gradients, what they minimize, and the turns that rotation prediction has to tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.backends.native import compile as compile_native
from opsin.data import Preprocessing
from opsin.data.augment import Augmenter, policy_for
from opsin.data.dataset import AnnotatedImages
from opsin.tasks.geometry import Geometry
from opsin.tasks.self_supervised import SelfSupervised, Unlabelled
from opsin.tasks.task import LossOptions
from opsin.tasks.views import ONE_VIEW, Views, views_of
from tests.support import generator

TASK = SelfSupervised()
SIDE = 9


def images(count: int, side: int = SIDE) -> AnnotatedImages:
    pixels = generator("pixels").integers(0, 256, (count, 3, side, side)).astype(np.uint8)
    return AnnotatedImages(pixels, Unlabelled(np.zeros(count, np.int32), ("",)), TASK)


@pytest.mark.parametrize("loss", TASK.losses)
def test_every_loss_falls_on_one_batch(loss: str) -> None:
    network, views = zoo.find("mlperf_tiny_resnet8")(task=TASK.name), TASK.views(loss)
    objective = TASK.objective(LossOptions(loss=loss), False)
    graph = nn.training_graph(network, (3, SIDE, SIDE), nn.optimizers.Adam(), objective, views=views.count)
    program = compile_native(graph, 6, 1)
    program.load_state(nn.initial_state(graph, 0))
    rows, rng = 6 * views.count, generator("batch")
    inputs = {
        "inputs": rng.standard_normal((rows, 3, SIDE, SIDE)).astype(np.float32),
        "instances": np.arange(rows, dtype=np.int32), "turns": (np.arange(rows) % 4).astype(np.int32),
    }  # fmt: skip
    losses = [float(program.run(**inputs, learning_rate=0.003)["loss"]) for _ in range(12)]
    assert np.isfinite(losses).all() and losses[-1] < 0.95 * losses[0]


def test_views_by_loss() -> None:
    assert [TASK.views(loss).count for loss in TASK.losses] == [2, 2, 2, 1, 1]
    assert TASK.views(None) == Views(2)
    assert views_of(object(), None) == ONE_VIEW


def test_turns_are_those_of_the_images() -> None:
    data = images(40)
    preprocessing = replace(Preprocessing.of(data), mean=(0.0,) * 3, std=(1 / 255,) * 3)
    policy = policy_for("none", data, preprocessing, views=TASK.views("rotation"))
    augmenter = Augmenter(policy, preprocessing, (SIDE, SIDE), TASK, seed=3)
    turned, targets = augmenter(data.pixels, data.targets, 40, 1, 0)
    assert set(targets["turns"].tolist()) == {0, 1, 2, 3}
    for image, original, turns in zip(turned, data.pixels, targets["turns"].tolist(), strict=True):
        np.testing.assert_array_equal(image, np.rot90(original, turns, (1, 2)))


def test_turns_of_mirrored_images_count_from_the_mirror_image() -> None:
    rng = generator("mirrored")
    data = images(40)
    preprocessing = replace(Preprocessing.of(data), mean=(0.0,) * 3, std=(1 / 255,) * 3)
    policy = replace(policy_for("none", data, preprocessing, views=TASK.views("rotation")), flip=True)
    flipped = rng.random(40) < 0.5
    turned, targets = Augmenter(policy, preprocessing, (SIDE, SIDE), TASK, 3)(
        data.pixels, data.targets, 40, 1, 0, flipped
    )
    for image, original, turns, mirrored in zip(turned, data.pixels, targets["turns"].tolist(), flipped, strict=True):
        shown = original[..., ::-1] if mirrored else original
        np.testing.assert_array_equal(image, np.rot90(shown, turns, (1, 2)))


def test_images_that_are_only_resized_are_not_turned() -> None:
    assert Geometry.resize(3, (20, 30), (10, 10)).quarter_turns.tolist() == [0, 0, 0]


def test_networks_give_the_features_of_their_last_layer() -> None:
    for name, features in [("resnet9_half", 256), ("googlenet", 1024), ("squeezenet1_1", 512), ("vgg11", 4096)]:
        classifier, network = zoo.find(name)(2), zoo.find(name)(2, task=TASK.name)
        graph = nn.trace(network, (3, 64, 64))
        TASK.check(graph)
        assert graph.outputs["features"].shape[1] == features
        named = nn.trace(classifier, (3, 64, 64)).variables
        missing = named.keys() - graph.variables.keys()
        assert graph.variables.keys() <= named.keys() and 1 <= len(missing) <= 2, missing
