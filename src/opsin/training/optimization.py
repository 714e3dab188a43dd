"""The optimizer and the schedule that somebody asks for, in place of a recipe's own."""

from __future__ import annotations

from dataclasses import replace

from opsin.errors import UsageError
from opsin.training.plan import MOMENTUM, OPTIMIZERS, Plan, Stage

LEARNING_RATES = {"gd": 0.1, "sgd": 0.05, "adam": 0.004, "adamw": 0.004, "adagrad": 0.02, "rmsprop": 0.001}
"""Peak learning rates for training from scratch. Fine-tuning keeps the ratio of its own rate to AdamW's."""

WEIGHT_DECAYS = {"gd": 0.0, "sgd": 5e-4, "adam": 0.0, "adamw": 0.01, "adagrad": 0.0, "rmsprop": 0.0}
DEFAULT_MOMENTUM = {"gd": 0.0, "sgd": 0.9, "rmsprop": 0.0}

FULL_BATCH = "gd"
"""The optimizer whose every step sees all training images."""


def check_optimizer_options(optimizer: str | None, momentum: float | None, batch: int | None) -> None:
    """Raise `UsageError` if the options contradict each other."""
    if optimizer in OPTIMIZERS and optimizer not in MOMENTUM and momentum is not None:
        raise UsageError(
            f"{optimizer} takes no momentum; leave it out, or take one of {', '.join(MOMENTUM)} as the optimizer"
        )
    if optimizer == FULL_BATCH and batch is not None:
        raise UsageError(
            "gradient descent (gd) sees all training images in every step; leave the batch out, or take sgd, which "
            "sees a batch"
        )


def with_optimizer(
    plan: Plan,
    optimizer: str | None,
    momentum: float | None,
    weight_decay: float | None,
    images: int,
    learning_rate: float | None = None,
) -> Plan:
    """Return the plan with another optimizer, or with other values for its own.

    The learning rates that were not asked for become the new optimizer's usual ones. `images` is the number of
    training images, which gradient descent takes at once.
    """
    if optimizer is not None and optimizer != plan.optimizer:
        ratio = LEARNING_RATES[optimizer] / LEARNING_RATES["adamw"]
        stages = tuple(_changed(stage, plan, optimizer, ratio, images, learning_rate) for stage in plan.stages)
        plan = replace(
            plan, optimizer=optimizer, stages=stages, momentum=DEFAULT_MOMENTUM.get(optimizer, 0.9), nesterov=False,
            shift_rate=1.0, weight_decay=WEIGHT_DECAYS[optimizer],
        )  # fmt: skip
    if momentum is not None:
        if plan.optimizer not in MOMENTUM:
            raise UsageError(
                f"a momentum of {momentum:g} is for {', '.join(MOMENTUM)}, and this plan takes {plan.optimizer}; "
                "name the optimizer, too"
            )
        plan = replace(plan, momentum=momentum, nesterov=plan.nesterov and momentum > 0)
    return plan if weight_decay is None else replace(plan, weight_decay=weight_decay)


def _changed(stage: Stage, plan: Plan, optimizer: str, ratio: float, images: int, learning_rate: float | None) -> Stage:
    batch = images if optimizer == FULL_BATCH else stage.batch
    if stage.learning_rate == learning_rate:  # as asked
        return replace(stage, batch=batch)
    usual = stage.learning_rate * ratio if plan.optimizer == "adamw" and plan.pretrained else LEARNING_RATES[optimizer]
    return replace(stage, learning_rate=usual, batch=batch)
