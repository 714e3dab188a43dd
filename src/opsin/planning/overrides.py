"""What options override in a plan, whichever recipe it comes from, and what the sizes of the classes ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from opsin.planning.options import TrainOptions
from opsin.training.class_balance import IMBALANCE, class_weights, imbalance, logit_adjustment
from opsin.training.plan import Stage, TrainingPlan


def adjusts(options: TrainOptions, counts: Sequence[int]) -> bool:
    """Whether logits are adjusted: classes are very uneven, and the options do not say what to do about it."""
    return options.class_weights is None and imbalance(counts) > IMBALANCE


def overridden(plan: TrainingPlan, options: TrainOptions, counts: Sequence[int]) -> TrainingPlan:
    """The plan as the options ask for it; `counts` are the training images of each class."""
    return replace(
        plan,
        stages=tuple(_overridden(stage, options) for stage in plan.stages),
        ema=plan.ema if options.ema is None else options.ema,
        label_smoothing=plan.label_smoothing if options.label_smoothing is None else options.label_smoothing,
        class_weights=class_weights(counts) if options.class_weights else None,
        logit_adjustment=logit_adjustment(counts) if adjusts(options, counts) else None,
        patience=options.patience or plan.patience,
        tta="hflip" if options.tta else None,
        winograd=options.winograd,
    )


def _overridden(stage: Stage, options: TrainOptions) -> Stage:
    return replace(
        stage, augment=options.augment or stage.augment, schedule=options.schedule or stage.schedule,
        flip=stage.flip if options.flip is None else options.flip,
    )  # fmt: skip
