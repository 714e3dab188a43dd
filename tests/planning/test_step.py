"""The step that profiling, tuning and `describe --memory` run is the one that training runs."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.apps.cli.subject import find_subject
from opsin.data import Dataset, LabeledImages
from opsin.planning.step import default_step
from opsin.tasks.classification import Classification
from opsin.training import Recipe, Trainer
from tests.planning.fake_machine import FakeMachine

TEN = Classification.with_outputs(10)


def test_the_optimizer_is_the_recipes() -> None:
    scratch = FakeMachine(weights=())
    lenet = default_step("lenet5", zoo.lenet5(), TEN, scratch)
    assert isinstance(lenet.optimizer, nn.optimizers.AdamW) and (lenet.ema, lenet.frozen) == (0.0, ())
    resnet = default_step("resnet9_half", zoo.resnet9_half(), TEN, scratch)
    assert isinstance(resnet.optimizer, nn.optimizers.SGD) and resnet.optimizer.nesterov and resnet.ema == 0.99
    airbench = default_step("airbench94", zoo.airbench94(), TEN, scratch)
    assert isinstance(airbench.optimizer, nn.optimizers.SGD) and set(airbench.optimizer.lr_scales.values()) == {64.0}


def test_published_weights_are_fine_tuned() -> None:
    network = zoo.efficientnet_lite0()
    step = default_step("efficientnet_lite0", network, TEN, FakeMachine())
    assert isinstance(step.optimizer, nn.optimizers.AdamW) and step.ema == 0.98
    assert "bn1" in step.frozen and "conv_stem" not in step.frozen
    graph = step.of_network(network, (3, 64, 64))
    assert "bn1.weight" not in graph.updates and "conv_stem.weight" in graph.updates


@pytest.mark.parametrize("name", ["lenet5", "resnet9_half", "airbench94"])
def test_the_commands_take_the_step_of_the_trainer(name: str) -> None:
    entry = zoo.find(name)
    channels, height, width = entry.input_shape
    pixels = np.random.default_rng(0).integers(0, 256, (40, channels, height, width)).astype(np.uint8)
    images = LabeledImages(pixels, np.arange(40, dtype=np.int32) % 10, tuple("abcdefghij"))
    plan = Recipe(epochs=1, batch=8).plan(name, 40)
    trainer = Trainer(plan, Dataset("noise", images, images, predefined_split=True), threads=1)
    assert trainer.runtime is not None
    trained = trainer.runtime.program.plan.graph  # type: ignore[attr-defined]
    command = find_subject(name, None, 10).training_step().bind(8)
    assert sorted(command.updates) == sorted(trained.updates)
    assert {name: str(tensor.type) for name, tensor in command.variables.items()} == {
        name: str(tensor.type) for name, tensor in trained.variables.items()
    }


@pytest.mark.parametrize("name", ["unet_light", "fcos_efficientnet_lite0", "pilotnet"])
def test_networks_of_every_task_have_a_step(name: str) -> None:
    shape = "3x64x64" if name != "pilotnet" else None
    graph = find_subject(name, shape, None).training_step()
    assert "loss" in graph.outputs and len(graph.inputs) > 2 and graph.updates
