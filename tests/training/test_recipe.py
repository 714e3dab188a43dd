"""The default values of recipes, and invalid values."""

from __future__ import annotations

import pytest

from opsin import nn, zoo
from opsin.base.errors import UsageError
from opsin.training import Recipe
from opsin.training.recipe import ADAMW_ONE_CYCLE, RESNET9
from opsin.training.stages import lr_scales


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"epochs": 0}, "the number of epochs must be at least 1, not 0"),
        ({"batch": -1}, "the batch must hold at least 1 image, not -1"),
        ({"seed": -1}, "the seed must be a whole number from 0 to 2^63 - 1, not -1"),
        ({"learning_rate": 0.0}, "the learning rate must be a positive number such as 0.004, not 0"),
        ({"learning_rate": float("nan")}, "the learning rate must be a positive number such as 0.004, not nan"),
        ({"learning_rate": float("inf")}, "the learning rate must be a positive number such as 0.004, not inf"),
    ],
)
def test_invalid_values(wrong: dict[str, float], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Recipe(**wrong)  # type: ignore[arg-type]
    assert str(caught.value) == text


def test_small_data_gets_more_epochs() -> None:
    for defaults in (ADAMW_ONE_CYCLE, RESNET9):
        epochs = [defaults.epochs_for(count) for count in (2, 100, 5000, 60_000, 10**6)]
        assert epochs == sorted(epochs, reverse=True) and epochs[0] == 200 and epochs[-1] == 15
    assert ADAMW_ONE_CYCLE.epochs_for(5000) == 25


def test_small_data_gets_smaller_batches() -> None:
    values = [
        (RESNET9.batch_for(count), RESNET9.rate_for(RESNET9.batch_for(count))) for count in (45_000, 3000, 600, 9)
    ]
    assert values == [(128, 0.2), (64, 0.1), (16, 0.025), (9, pytest.approx(0.2 * 9 / 128))]
    assert RESNET9.rate_for(512) == 0.4
    usual = ADAMW_ONE_CYCLE
    assert [(usual.batch_for(count), usual.rate_for(count)) for count in (9, 600)] == [(9, 0.004), (64, 0.004)]


def test_the_defaults_depend_on_the_network() -> None:
    plain, fast = Recipe().plan("lenet5", 5000), Recipe(seed=3).plan("resnet9_half", 45_000)
    assert (plain.optimizer, plain.stages[0].batch, plain.stages[0].epochs, plain.ema) == ("adamw", 64, 25, 0.0)
    assert (fast.optimizer, fast.nesterov, fast.weight_decay, fast.label_smoothing, fast.seed) == (
        "sgd",
        True,
        5e-4,
        0.1,
        3,
    )
    stage = Recipe(7, 32, 0.01).plan("resnet9_half", 45_000).stages[0]
    assert (stage.epochs, stage.batch, stage.learning_rate) == (7, 32, 0.01)
    assert Recipe(batch=32).plan("resnet9_half", 45_000).stages[0].learning_rate == 0.05


def test_the_learning_rate_of_norm_biases() -> None:
    plan = Recipe().plan("airbench94", 45_000)
    assert (plan.momentum, plan.norm_bias_lr_scale, plan.label_smoothing) == (0.85, 64.0, 0.2)
    rates = lr_scales(plan, zoo.airbench94())
    assert len(rates) == 6 and set(rates.values()) == {64.0}
    assert rates.keys() <= nn.trace(zoo.airbench94(), (3, 32, 32)).parameters.keys()
    assert lr_scales(Recipe().plan("resnet9", 45_000), zoo.resnet9()) == {}
