"""Every optimizer and schedule, by name: from the options to a trained model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from opsin import nn, train
from opsin.base.errors import UsageError
from opsin.data import Dataset, LabeledImages
from opsin.nn import optimizers
from opsin.planning.optimization import with_optimizer
from opsin.planning.options import TrainOptions
from opsin.training import Recipe, Stage, Trainer, TrainingPlan
from opsin.training.events import Step
from opsin.training.plan import OPTIMIZERS, SCHEDULES
from opsin.training.stages import optimizer_of, schedule_of

KINDS = {
    "gd": optimizers.SGD, "sgd": optimizers.SGD, "adam": optimizers.Adam, "adamw": optimizers.AdamW,
    "adagrad": optimizers.Adagrad, "rmsprop": optimizers.RMSprop,
}  # fmt: skip


def bars(count: int, seed: int) -> LabeledImages:
    """Return noisy images of 12 × 12 with a bar on the left or on the right."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    pixels = random.integers(0, 100, (count, 1, 12, 12))
    pixels[labels == 0, :, :, 2:4] += 120
    pixels[labels == 1, :, :, 8:10] += 120
    return LabeledImages(pixels.astype(np.uint8), labels.astype(np.int32), ("left", "right"))


DATA = Dataset("bars", bars(160, 0), bars(80, 1), predefined_split=True)


def network() -> nn.Layer:
    return nn.Sequential(nn.Conv2d(8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_learns_with_its_own_rate(name: str) -> None:
    plan = with_optimizer(
        Recipe(epochs=20).plan("Sequential", len(DATA.train)), TrainOptions(optimizer=name), len(DATA.train)
    )
    assert plan.optimizer == name and type(optimizer_of(plan, network())) is KINDS[name]
    model = train(network(), DATA, epochs=60 if name == "gd" else 20, optimizer=name)
    assert model.evaluate(DATA.test).accuracy >= 0.95
    assert model.record["plan"]["optimizer"] == name


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_learns(name: str) -> None:
    assert train(network(), DATA, epochs=10, schedule=name).evaluate(DATA.test).accuracy >= 0.95


def test_gradient_descent_takes_all_images_in_each_step() -> None:
    steps = []
    train(network(), DATA, epochs=3, optimizer="gd", on_event=lambda event: steps.append(event))
    assert [event.images for event in steps if isinstance(event, Step)] == [160, 160, 160]


def test_values_reach_the_optimizer() -> None:
    plan = Recipe().plan("lenet5", 1000)
    optimizer = optimizer_of(
        with_optimizer(plan, TrainOptions(optimizer="sgd", momentum=0.5, weight_decay=0.1), 1000), network()
    )
    assert isinstance(optimizer, optimizers.SGD) and (optimizer.momentum, optimizer.weight_decay) == (0.5, 0.1)
    assert with_optimizer(plan, TrainOptions(optimizer="sgd"), 1000).stages[0].learning_rate == 0.05
    assert with_optimizer(plan, TrainOptions(weight_decay=0.3), 1000) == replace(plan, weight_decay=0.3)
    assert with_optimizer(plan, TrainOptions(optimizer="adamw"), 1000) == plan  # It is the default.
    rate = Recipe(learning_rate=0.3).plan("lenet5", 1000)
    assert with_optimizer(rate, TrainOptions(optimizer="sgd", learning_rate=0.3), 1000).stages[0].learning_rate == 0.3
    head = Stage(name="head", epochs=1, learning_rate=0.004), Stage(name="tuning", epochs=1, learning_rate=2e-4)
    tuned = with_optimizer(TrainingPlan(network="x", pretrained=True, stages=head), TrainOptions(optimizer="sgd"), 1000)
    assert [stage.learning_rate for stage in tuned.stages] == pytest.approx([0.05, 0.0025])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"optimizer": "lion"}, "the optimizer must be one of gd, sgd, adam, adamw, adagrad, rmsprop, not 'lion'"),
        ({"schedule": "steep"}, "the schedule must be one of one_cycle, cosine, step, constant, not 'steep'"),
        (
            {"optimizer": "adam", "momentum": 0.9},
            "adam takes no momentum; leave it out, or take one of gd, sgd, rmsprop",
        ),
        ({"optimizer": "gd", "batch": 8}, r"gradient descent \(gd\) sees all training images in every step; leave the"),
        ({"momentum": 1.5}, "the momentum must be a number from 0 to below 1, not 1.5"),
        ({"weight_decay": -1.0}, "the weight decay must be a number of at least 0, not -1"),
        ({"momentum": 0.9}, "a momentum of 0.9 is for gd, sgd, rmsprop, and this plan takes adamw; name the optimizer"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        train(network(), DATA, epochs=1, **options)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 7])
def test_a_stage_of_few_steps_has_rates_that_learn(schedule: str, steps: int) -> None:
    for rise in (0.0, 0.25, 1.0):
        rate = schedule_of(Stage(epochs=1, learning_rate=0.1, schedule=schedule, warmup_fraction=rise), steps)
        rates = [rate(step) for step in range(steps)]
        assert max(rates) >= 0.04 and min(rates) > 1e-4, rates


def test_one_step_on_all_images_learns() -> None:
    """One epoch of one batch is a single step, which changes the parameters."""
    plan = Recipe(epochs=1, batch=4096).plan("Sequential", len(DATA.train))
    training = Trainer(plan, DATA, network=network())
    initial = {name: array.copy() for name, array in training.values.items()}
    list(training)
    change = max(np.abs(training.model.state[name] - initial[name]).max() for name in initial)
    assert change > 1e-3
