"""Plans: to JSON and back, and invalid values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opsin.base.errors import UsageError
from opsin.training import Stage, TrainingPlan

FULL = TrainingPlan(
    network="efficientnet_lite0",
    pretrained=True,
    size=224,
    seed=2**62,
    optimizer="sgd",
    weight_decay=1e-5,
    momentum=0.8,
    nesterov=True,
    clip_norm=1.0,
    label_smoothing=0.1,
    ema=0.999,
    class_weights=(0.5, 1.5),
    patience=3,
    stages=(
        Stage(
            name="head",
            epochs=5,
            batch=128,
            learning_rate=0.1,
            schedule="cosine",
            frozen=("stem", "blocks"),
            features=True,
        ),
        Stage(name="fine-tuning", epochs=2, warmup_fraction=0.0, schedule="constant", augment="strong"),
    ),
)


def test_a_plan_survives_json() -> None:
    assert TrainingPlan.from_data(json.loads(json.dumps(FULL.to_data()))) == FULL
    assert json.loads(json.dumps(FULL.to_data())) == FULL.to_data()
    assert FULL.epochs == 7


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"epochs": 0}, "the number of epochs must be at least 1, not 0"),
        ({"epochs": 1, "batch": 0}, "the batch must hold at least 1 image, not 0"),
        ({"epochs": 1, "learning_rate": -1.0}, "the learning rate must be a positive number such as 0.004, not -1"),
        (
            {"epochs": 1, "warmup_fraction": 1.5},
            "the share of the steps in which the learning rate rises must be a number from 0 to 1, not 1.5",
        ),
        (
            {"epochs": 1, "schedule": "steep"},
            "the schedule must be one of one_cycle, cosine, step, constant, not 'steep'",
        ),
        ({"epochs": 1, "augment": "wild"}, "the augmentation must be one of none, light, strong, not 'wild'"),
        (
            {"epochs": 1, "features": True},
            "the stage 'training' trains on features and needs frozen layers that compute them",
        ),
    ],
)
def test_invalid_stages(values: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Stage(**values)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"stages": ()}, "a plan has stages with different names, at least one, not []"),
        ({"stages": (Stage(epochs=1),) * 2}, "a plan has stages with different names, at least one, not ["),
        ({"size": 0}, "the side of the images must be at least 1 pixel, not 0"),
        ({"seed": -1}, "the seed must be a whole number from 0 to 2^63 - 1, not -1"),
        ({"optimizer": "lion"}, "the optimizer must be one of gd, sgd, adam, adamw, adagrad, rmsprop, not 'lion'"),
        ({"weight_decay": -0.1}, "the weight decay must be a number of at least 0, not -0.1"),
        ({"momentum": 1.0}, "the momentum must be a number from 0 to below 1, not 1"),
        ({"momentum": 0.0, "nesterov": True}, "Nesterov's rule needs SGD with a momentum above 0, such as 0.9"),
        ({"optimizer": "adam", "nesterov": True}, "Nesterov's rule needs SGD with a momentum above 0, such as 0.9"),
        (
            {"logit_adjustment": (0.0, float("-inf"))},
            "TrainingPlan: logit_adjustment must be a finite number, not -inf",
        ),
        ({"clip_norm": 0.0}, "the norm that gradients are clipped to must be above 0, not 0"),
        ({"label_smoothing": 1.0}, "the label smoothing must be a number from 0 to below 1, not 1"),
        ({"ema": float("nan")}, "the decay of the moving average (ema) must be a number from 0 to below 1, not nan"),
        ({"class_weights": (1.0, 0.0)}, "a class weight must be a number above 0, not 0"),
        ({"patience": 0}, "the patience must be at least 1 epoch, not 0"),
        ({"tta": "vflip"}, "the test-time augmentation (tta) must be one of none, hflip, not 'vflip'"),
    ],
)
def test_invalid_plans(values: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        TrainingPlan(**{"network": "lenet5", "stages": (Stage(epochs=1),), **values})
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"stages": None}, "the plan is not described completely"),
        ({"stages": [{"name": "training"}]}, "the plan is not described completely"),
        ({"stages": [{"epochs": 1, "steps": 9}]}, "the plan has 'steps', which this Opsin does not know"),
        ({"colour": "blue"}, "the plan has 'colour', which this Opsin does not know; another version wrote it"),
    ],
)
def test_invalid_json(change: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        TrainingPlan.from_data({**FULL.to_data(), **change})
