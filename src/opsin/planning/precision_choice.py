"""`--precision auto`: float32 or bfloat16 for a plan, by a short training in each.

bfloat16 is chosen if its steps are faster and its loss on images that were not trained on is as good. Both are measured
with the plan's own network, recipe and data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil, sqrt
from time import perf_counter
from typing import Any

import numpy as np

from opsin import nn, zoo
from opsin.backends.native import compile as compile_native
from opsin.base.errors import TrainingError
from opsin.base.formatting import duration
from opsin.compiler.precision import Precision
from opsin.data import Dataset
from opsin.model import Engine
from opsin.planning import trial
from opsin.planning.measurement import LOCAL_MACHINE, Machine
from opsin.training.events import Interrupted, Step
from opsin.training.plan import TrainingPlan
from opsin.training.trainer import Trainer

TRIAL_SHARE = 0.025
MIN_TRIAL_STEPS, MAX_TRIAL_STEPS = 20, 200
"""The steps in each precision: a share of all steps of the plan's last stage, and its bounds."""

MIN_TRAINING_SECONDS = 60.0
"""If training in float32 takes less time, compiling and comparing take most of what bfloat16 could save."""

MIN_SPEEDUP = 1.1
"""By how much steps in bfloat16 must be faster."""

GROUPS = 10
"""The held-out images are divided into this many groups. The differences of their losses show how much of the total
difference is due to the selection of the images."""

MAX_LOSS_INCREASE = 0.02
"""A relative difference of the loss that is not significant. On CIFAR-10, trainings of 130 steps that differ in
rounding alone (with or without Winograd's algorithm) end up to 0.5% apart, and those with another seed 1 to 4%."""

MIN_VALIDATION_IMAGES = 200
VALIDATION_IMAGES_PER_TRAINING_IMAGE = 0.25
"""The number of held-out images: a share of those that a trial trains on, but at least the minimum if there are so
many, and at most as many as in other trials. Evaluation then takes little of the time."""


@dataclass(frozen=True)
class PrecisionTrial:
    """A short training in one precision: the median time of its `steps`, and the loss of each group of images."""

    precision: str
    steps: int
    step_seconds: float
    losses: tuple[float, ...]

    @property
    def loss(self) -> float:
        """The mean loss on the held-out images."""
        return float(np.mean(self.losses))

    def to_data(self) -> Mapping[str, Any]:
        """Return the evidence that a plan stores."""
        return {
            "precision": self.precision,
            "steps": self.steps,
            "step_seconds": float(f"{self.step_seconds:.4g}"),
            "held_out_loss": round(self.loss, 5),
        }


@dataclass(frozen=True)
class PrecisionChoice:
    """The `name` of the precision that was chosen, the `reason` in a sentence, and the `trials` it is based on."""

    name: str
    reason: str
    trials: tuple[PrecisionTrial, ...] = ()

    @property
    def evidence(self) -> tuple[Mapping[str, Any], ...]:
        """What the plan stores of the trials."""
        return tuple(each.to_data() for each in self.trials)

    def applied(self, plan: TrainingPlan) -> TrainingPlan:
        """Return `plan` in this precision, with the evidence for it."""
        return replace(plan, precision=self.name, evidence=(*plan.evidence, *self.evidence))


RunTrial = Callable[[TrainingPlan, Dataset, nn.Layer | None, int | None, Engine], PrecisionTrial | None]


def run_trial(
    plan: TrainingPlan, data: Dataset, network: nn.Layer | None, threads: int | None, engine: Engine
) -> PrecisionTrial | None:
    """Train a short `plan` and measure it on the test split; return None if training diverges."""
    trainer, seconds = Trainer(plan, data, network=network, threads=threads, engine=engine), list[float]()
    begin = perf_counter()
    try:
        for event in trainer:
            if isinstance(event, Step):
                seconds.append(perf_counter() - begin)
            elif isinstance(event, Interrupted):
                raise KeyboardInterrupt
            begin = perf_counter()
    except TrainingError:
        return None
    images = data.require_test()
    groups = [np.arange(first, len(images), GROUPS) for first in range(min(GROUPS, len(images)))]
    losses = tuple(trainer.model.evaluate(images.take(group)).score.loss for group in groups)
    if not np.isfinite(losses).all():
        return None
    return PrecisionTrial(plan.precision, len(seconds), float(np.median(seconds)), losses)


def choose_precision(
    plan: TrainingPlan,
    data: Dataset,
    *,
    network: nn.Layer | None = None,
    threads: int | None = None,
    engine: Engine = compile_native,
    machine: Machine = LOCAL_MACHINE,
    run: RunTrial = run_trial,
) -> PrecisionChoice:
    """Return the precision for `plan`, which is in float32. `network` is a layer that the zoo does not have."""
    if not machine.multiplies_bf16():
        return _float32("this processor has no instructions that multiply bfloat16")
    stage = plan.stages[plan.last_ordinary]
    if stage.features:
        return _float32("layers that are trained on stored features take little time in any precision")
    total_steps = stage.epochs * ceil((stage.images or len(data.train)) / stage.batch)
    steps = min(MAX_TRIAL_STEPS, int(TRIAL_SHARE * total_steps))
    if steps < MIN_TRIAL_STEPS:
        return _float32(f"{total_steps:,} steps are too few for a comparison with bfloat16 to pay")
    count = max(MIN_VALIDATION_IMAGES, int(VALIDATION_IMAGES_PER_TRAINING_IMAGE * steps * stage.batch))
    count = min(trial.MAX_TRIAL_VALIDATION_IMAGES, count)
    part = trial.comparable(data.stacked(zoo.frames(plan.network)), plan.seed, count)
    short_plan = _shortened(plan, steps, len(part.train))
    full = run(short_plan, part, network, threads, engine)
    if full is None:
        return _float32("a short training in float32 diverged, so that nothing could be compared with bfloat16")
    if (expected_seconds := full.step_seconds * total_steps) < MIN_TRAINING_SECONDS:
        return _float32(
            f"about {duration(expected_seconds)} of steps are too few for a comparison with bfloat16 to pay", full
        )
    return _compared(full, run(replace(short_plan, precision=Precision.BF16.value), part, network, threads, engine))


def _shortened(plan: TrainingPlan, steps: int, images: int) -> TrainingPlan:
    """Return `plan` with its last stage alone, for about `steps` steps, on data of so many training images."""
    stage = plan.stages[plan.last_ordinary]
    epochs, limit = steps * stage.batch // images, None
    if not epochs:
        epochs, limit = 1, steps * stage.batch
    short_stage = replace(stage, epochs=epochs, images=limit)
    return replace(plan, stages=(short_stage,), patience=None, tta=None, evidence=())


def _compared(full: PrecisionTrial, narrow: PrecisionTrial | None) -> PrecisionChoice:
    """Return the better one of a trial in float32 and one in bfloat16, which diverged if it is None."""
    if narrow is None:
        return _float32("a short training in bfloat16 diverged", full)
    speedup = full.step_seconds / narrow.step_seconds
    times = (
        f"a step takes {1e3 * narrow.step_seconds:.3g} ms in bfloat16 and {1e3 * full.step_seconds:.3g} ms in float32"
    )
    if speedup < MIN_SPEEDUP:
        return _float32(f"{times}, which is not {MIN_SPEEDUP} times as fast", full, narrow)
    losses = (
        f"the held-out loss after {full.steps} steps is {narrow.loss:.4g} in bfloat16 and {full.loss:.4g} in float32"
    )
    differences = np.subtract(narrow.losses, full.losses)
    error = float(differences.std(ddof=1)) / sqrt(len(differences)) if len(differences) > 1 else 0.0
    if differences.mean() > 2 * error + MAX_LOSS_INCREASE * full.loss:
        return _float32(f"{losses}: more than chance and rounding explain", full, narrow)
    reason = f"bfloat16, {speedup:.2f} times as fast: {times}, and {losses}"
    return PrecisionChoice(Precision.BF16.value, reason, (full, narrow))


def _float32(reason: str, *trials: PrecisionTrial) -> PrecisionChoice:
    return PrecisionChoice(Precision.FLOAT32.value, f"float32: {reason}", trials)
