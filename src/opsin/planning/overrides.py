"""Options that override the plan of any recipe, and the treatment of classes of very different sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from opsin.base.errors import UsageError
from opsin.data import Dataset
from opsin.planning.options import TrainOptions
from opsin.tasks.classification.class_balance import IMBALANCE, class_weights, imbalance, logit_adjustment
from opsin.tasks.task import LossOptions
from opsin.training.checks import check_mirrors, check_qat, with_signs
from opsin.training.plan import Stage, TrainingPlan


def adjusts_logits(options: TrainOptions, counts: Sequence[int]) -> bool:
    """Return whether logits are adjusted: classes are very unequal, and the options do not say how to treat them."""
    return options.class_weights is None and imbalance(counts) > IMBALANCE


def with_overrides(plan: TrainingPlan, options: TrainOptions, counts: Sequence[int]) -> TrainingPlan:
    """Return the plan with the values that the options give. `counts` are the training images of each class."""
    return replace(
        plan,
        stages=tuple(_with_overrides(stage, options) for stage in plan.stages),
        ema=plan.ema if options.ema is None else options.ema,
        label_smoothing=plan.label_smoothing if options.label_smoothing is None else options.label_smoothing,
        class_weights=class_weights(counts) if options.class_weights else None,
        logit_adjustment=logit_adjustment(counts) if adjusts_logits(options, counts) else None,
        loss=options.loss or plan.loss,
        patience=options.patience or plan.patience,
        tta="hflip" if options.tta else None,
        signed=signed_names(options) or plan.signed,
        winograd=options.winograd,
        precision=options.planned_precision,
    )


def check_task(options: TrainOptions, data: Dataset) -> None:
    """Raise `UsageError`, before anything is measured, for options that do not suit the task of the data."""
    if options.tta:
        check_mirrors(data.task)
    if options.class_weights:
        data.task.objective(LossOptions(class_weights=(1.0,) * len(data.task.labels)), False)
    if options.loss:
        _check_loss(options.loss, data)
    if options.qat:
        check_qat(data.task)
    with_signs(data, signed_names(options))


def _check_loss(loss: str, data: Dataset) -> None:
    """Raise `UsageError` unless the task of the data has this loss among others."""
    if not hasattr(data.task, "losses"):
        raise UsageError(
            f"--loss {loss} is for identities or for images without labels, and the data is for {data.task.name}; "
            "leave --loss out"
        )
    if loss not in data.task.losses:
        raise UsageError(f"there is no loss '{loss}' for {data.task.name}; there are {', '.join(data.task.losses)}")


def signed_names(options: TrainOptions) -> tuple[str, ...]:
    """Return the names of the quantities that change their sign in mirror images."""
    return tuple(name.strip() for name in (options.signed or "").split(",") if name.strip())


def _with_overrides(stage: Stage, options: TrainOptions) -> Stage:
    flip = True if signed_names(options) else stage.flip
    return replace(
        stage, augment=options.augment or stage.augment, schedule=options.schedule or stage.schedule,
        flip=flip if options.flip is None else options.flip,
    )  # fmt: skip
