"""The optimizer that the options ask for, in place of the recipe's own."""

from __future__ import annotations

from dataclasses import replace

from opsin.base.errors import UsageError
from opsin.planning.options import TrainOptions
from opsin.training.plan import FULL_BATCH, MOMENTUM, Stage, TrainingPlan

LEARNING_RATES = {"gd": 0.1, "sgd": 0.05, "adam": 0.004, "adamw": 0.004, "adagrad": 0.02, "rmsprop": 0.001}
"""Peak learning rates for training from scratch. Fine-tuning scales them by the ratio of its own rate to AdamW's."""

WEIGHT_DECAYS = {"gd": 0.0, "sgd": 5e-4, "adam": 0.0, "adamw": 0.01, "adagrad": 0.0, "rmsprop": 0.0}
MOMENTA = {"gd": 0.0, "sgd": 0.9, "rmsprop": 0.0}


def with_optimizer(plan: TrainingPlan, options: TrainOptions, images: int) -> TrainingPlan:
    """Return the plan with the optimizer, momentum and weight decay that `options` give.

    Learning rates that the options do not give become the new optimizer's defaults. `images` is the number of training
    images, all of which gradient descent takes in each step. Raises `UsageError` for a momentum if the plan's optimizer
    has none.
    """
    optimizer, momentum = options.optimizer, options.momentum
    if optimizer is not None and optimizer != plan.optimizer:
        stages = tuple(_with_optimizer(stage, plan, optimizer, images, options.learning_rate) for stage in plan.stages)
        plan = replace(
            plan, optimizer=optimizer, stages=stages, momentum=MOMENTA.get(optimizer, 0.9), nesterov=False,
            norm_bias_lr_scale=1.0, weight_decay=WEIGHT_DECAYS[optimizer],
        )  # fmt: skip
    if momentum is not None:
        if plan.optimizer not in MOMENTUM:
            raise UsageError(
                f"a momentum of {momentum:g} is for {', '.join(MOMENTUM)}, and this plan takes {plan.optimizer}; "
                "name the optimizer, too"
            )
        plan = replace(plan, momentum=momentum, nesterov=plan.nesterov and momentum > 0)
    return plan if options.weight_decay is None else replace(plan, weight_decay=options.weight_decay)


def _with_optimizer(
    stage: Stage, plan: TrainingPlan, optimizer: str, images: int, learning_rate: float | None
) -> Stage:
    """Return the stage for another optimizer."""
    batch = images if optimizer == FULL_BATCH else stage.batch
    if stage.learning_rate == learning_rate:  # The options give it.
        return replace(stage, batch=batch)
    default_rate = LEARNING_RATES[optimizer]
    if plan.optimizer == "adamw" and plan.is_transfer:
        default_rate *= stage.learning_rate / LEARNING_RATES["adamw"]
    return replace(stage, learning_rate=default_rate, batch=batch)
