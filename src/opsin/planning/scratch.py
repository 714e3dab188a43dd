"""Plans that train from scratch: as many epochs as are of use and as the time allows."""

from __future__ import annotations

from dataclasses import replace
from math import floor

from opsin import nn, zoo
from opsin.base.formatting import duration
from opsin.data import Dataset
from opsin.planning.budget import Budget, batch_that_fits, epoch_seconds, evaluating, reporting
from opsin.planning.measurement import Cost, measure
from opsin.planning.optimization import with_optimizer
from opsin.planning.options import FittedPlan, NetworkChoice, TrainOptions
from opsin.training.plan import FULL_BATCH, TrainingPlan
from opsin.training.recipe import Recipe
from opsin.training.stages import optimizer_of

SMALLEST_BATCH = 4

FEWEST_STEPS = 8
"""Steps under which a training is not worth it."""


def fit(outline: NetworkChoice, data: Dataset, wishes: TrainOptions, budget: Budget) -> FittedPlan:
    """The recipe of the network, with the epochs for which there is time.

    Raises `UsageError` where not even one epoch fits, or not those that were asked for.
    """
    fitting = _ScratchPlanner(outline, data, wishes, budget)
    plan, step, memory = fitting.plan, fitting.step, fitting.memory
    images, epochs = len(data.train), plan.stages[0].epochs
    epoch = epoch_seconds(images, plan.stages[0].batch, step) + evaluating(data, wishes.looks * step.seconds / 3)
    affordable = floor((budget.left - _finishing(data, wishes, step, budget)) / epoch)
    if wishes.epochs is not None and not budget.asked:
        affordable = epochs
    if affordable < 1 and wishes.epochs is None and (short := _part_of_epoch(fitting, data, wishes, budget)):
        return short
    if affordable < (wishes.epochs or 1):
        what = f"{wishes.epochs} epochs" if wishes.epochs else "one epoch"
        raise budget.refuse((wishes.epochs or 1) * epoch, f"{what} of {outline.network}")
    reasons = list(fitting.reasons)
    if affordable < epochs:
        reasons.append(f"{affordable} epochs, where {epochs} would be usual: one takes {duration(epoch)}")
    elif wishes.epochs is None and budget.asked and affordable > 2 * epochs:
        reasons.append(f"{epochs} epochs, as more hardly help {outline.network}: there is time for {affordable}")
    stage = replace(plan.stages[0], epochs=min(epochs, affordable))
    return FittedPlan(
        replace(plan, stages=(stage,), size=outline.size), tuple(reasons), stage.epochs * epoch + step.compiling, memory
    )


def _part_of_epoch(fitting: _ScratchPlanner, data: Dataset, wishes: TrainOptions, budget: Budget) -> FittedPlan | None:
    """As many images as there is time for, if that is enough for some steps."""
    plan, step = fitting.plan, fitting.step
    stage, measuring = plan.stages[0], evaluating(data, wishes.looks * step.seconds / 3)
    left = budget.left - _finishing(data, wishes, step, budget) - measuring - step.snapshot
    steps = floor(left / (stage.batch * step.seconds))
    if steps < FEWEST_STEPS:
        return None
    images = min(steps * stage.batch, len(data.train))
    plan = replace(plan, stages=(replace(stage, epochs=1, images=images),), size=fitting.outline.size)
    reason = f"{images:,} of the {len(data.train):,} images, once: there is no time for all"
    seconds = epoch_seconds(images, stage.batch, step) + measuring + step.compiling
    return FittedPlan(plan, (*fitting.reasons, reason), seconds, fitting.memory)


def _finishing(data: Dataset, wishes: TrainOptions, step: Cost, budget: Budget) -> float:
    """Seconds to calibrate the model and to measure it on the test part, and the report's beyond its share."""
    validation, look = len(data.validation or ()), wishes.looks * step.seconds / 3
    measuring = (len(data.require_test()) + validation) * look if validation else 0.0
    return measuring + reporting(data, look, budget)


class _ScratchPlanner:
    """The plan that the options ask for, with the batch for which there is memory, and what its step costs."""

    def __init__(self, outline: NetworkChoice, data: Dataset, wishes: TrainOptions, budget: Budget) -> None:
        self.outline, self.data, self.wishes = outline, data, wishes
        self.reasons: list[str] = []
        layer, plan = zoo.find(outline.network)(len(data.classes)), self._plan(wishes.batch)
        ema = plan.ema if wishes.ema is None else wishes.ema
        graph = nn.training_graph(layer, data.shape, optimizer_of(plan, layer), ema=ema)

        def cost(batch: int) -> Cost:
            return measure(graph, batch, wishes.threads, budget.ways)

        batches = self._batches(plan.stages[0].batch)
        batch, self.step, self.memory = batch_that_fits(batches, cost, wishes, data)
        if batch < batches[0]:
            plan = self._plan(batch)  # with the rate that goes with it
            self.reasons.append(f"{batch} images a step, so that the memory suffices")
        self.plan = plan

    def _plan(self, batch: int | None) -> TrainingPlan:
        wishes, images = self.wishes, len(self.data.train)
        plan = Recipe(wishes.epochs, batch, wishes.learning_rate, wishes.seed).plan(self.outline.network, images)
        return with_optimizer(plan, wishes, images)

    def _batches(self, largest: int) -> list[int]:
        """The sizes to try, by halves; only one if it was asked for."""
        batches = [largest]
        while self.wishes.batch is None and self.wishes.optimizer != FULL_BATCH and batches[-1] // 2 >= SMALLEST_BATCH:
            batches.append(batches[-1] // 2)
        return batches
