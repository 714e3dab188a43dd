"""Plans that train from scratch, or all layers alike: as many epochs as are useful and as the time allows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import floor, prod

from opsin import nn
from opsin.base.formatting import duration
from opsin.compiler.precision import Precision
from opsin.data import Dataset
from opsin.ir import Graph
from opsin.model.pretrained import prepared_network
from opsin.planning.budget import (
    Budget,
    bytes_besides_step,
    epoch_seconds,
    evaluation_seconds,
    first_batch_within,
    report_overrun_seconds,
)
from opsin.planning.candidate import Candidate
from opsin.planning.measurement import CostMeter
from opsin.planning.optimization import with_optimizer
from opsin.planning.options import NetworkChoice, TrainOptions
from opsin.tasks.views import views_of
from opsin.training import features
from opsin.training.plan import FULL_BATCH, Stage, TrainingPlan
from opsin.training.recipe import Recipe
from opsin.training.stages import loss_of, optimizer_of

MIN_BATCH = 4

MIN_STEPS = 8
"""Steps of a partial epoch: fewer are not worth training."""

STEP_FORWARD_PASSES = 3
"""The time of a training step in forward passes: the backward pass computes two convolutions for each forward one."""

PLENTIFUL_TIME = 2
"""The multiple of the useful epochs above which the plan states why it does not use the time."""


class ScratchPlanner:
    """Plans by the network's recipe, with the largest batch that fits the memory."""

    def __init__(
        self, choice: NetworkChoice, data: Dataset, options: TrainOptions, budget: Budget, meter: CostMeter
    ) -> None:
        self.choice, self.data, self.options, self.budget = choice, data, options, budget
        layer = prepared_network(choice.network, data.task, data.input)
        recipe_plan = self._recipe_plan(options.batch)
        ema = recipe_plan.ema if options.ema is None else options.ema
        shape = _training_shape(recipe_plan.stages[0], data)
        self.meter = meter
        graph = self._step_graph(layer, shape, replace(recipe_plan, ema=ema))
        batches = self._batches(recipe_plan.stages[0].batch)
        fixed_bytes = bytes_besides_step(meter.machine.process_bytes(), data) + self._cache_bytes()
        batch_cost = first_batch_within(budget, batches, lambda batch: meter.measure(graph, batch), fixed_bytes)
        self.step, self.bytes = batch_cost.step, batch_cost.peak_bytes
        self.reasons: tuple[str, ...] = ()
        if batch_cost.batch < batches[0]:
            recipe_plan = self._recipe_plan(batch_cost.batch)  # Its learning rate depends on the batch.
            self.reasons = (f"a batch of {batch_cost.batch} images, the largest that fits into the memory",)
        self.recipe_plan = recipe_plan
        self.forward_seconds = options.forward_passes * self._evaluation_image_seconds(layer, shape)
        self.evaluation_seconds = evaluation_seconds(data, self.forward_seconds)
        self.final_seconds = self._final_seconds()
        steps_seconds = epoch_seconds(len(data.train), self.stage.batch, self.step)
        self.epoch_seconds = steps_seconds + self.evaluation_seconds

    @property
    def stage(self) -> Stage:
        """The recipe's stage, with all useful epochs or those of the options."""
        return self.recipe_plan.stages[0]

    def candidates(self) -> Iterator[Candidate]:
        """Give all useful epochs, then fewer, then a part of one; or only the number that the options ask for."""
        if self.options.epochs is not None:
            yield self._epochs(self.options.epochs)
            return
        for epochs in range(self.stage.epochs, 0, -1):
            yield self._epochs(epochs)
        yield from self._partial_epoch()

    def plan(self, candidate: Candidate) -> TrainingPlan:
        choice = self.choice
        return replace(self.recipe_plan, stages=candidate.stages, size=choice.size, weights=choice.weights)

    def _epochs(self, epochs: int) -> Candidate:
        seconds = epochs * self.epoch_seconds + self._once_seconds()
        is_unlimited = self.options.epochs is not None and not self.budget.is_explicit
        return Candidate(
            stages=(replace(self.stage, epochs=epochs),),
            seconds=seconds + self.step.compile_seconds,
            bytes=self.bytes,
            reasons=self.reasons + self._epochs_reasons(epochs),
            name=f"{'one epoch' if epochs == 1 else f'{epochs} epochs'} of {self.choice.network}",
            required_seconds=0.0 if is_unlimited else seconds + self.final_seconds,
            recommended_seconds=seconds,
        )

    def _epochs_reasons(self, epochs: int) -> tuple[str, ...]:
        """Explain a number of epochs that is not the usual one, or that does not use the time."""
        default = self.stage.epochs
        if epochs < default:
            return (f"{epochs} epochs instead of the usual {default}: one takes {duration(self.epoch_seconds)}",)
        affordable = floor((self.budget.training_seconds - self.final_seconds) / self.epoch_seconds)
        if self.options.epochs is None and self.budget.is_explicit and affordable > PLENTIFUL_TIME * default:
            return (
                f"{default} epochs, as more would hardly help {self.choice.network}: there is time for {affordable}",
            )
        return ()

    def _partial_epoch(self) -> Iterator[Candidate]:
        """Give one epoch of as many images as there is time for, if these make enough steps."""
        count, batch = len(self.data.train), self.stage.batch
        other_seconds = self.final_seconds + self.evaluation_seconds + self.step.snapshot_seconds
        step_seconds = batch * self.step.image_seconds
        steps = floor((self.budget.training_seconds - other_seconds) / step_seconds)
        if steps < MIN_STEPS:
            return
        images = min(steps * batch, count)
        seconds = epoch_seconds(images, batch, self.step) + self.evaluation_seconds
        yield Candidate(
            stages=(replace(self.stage, epochs=1, images=images),),
            seconds=seconds + self.step.compile_seconds,
            bytes=self.bytes,
            reasons=(*self.reasons, f"one epoch of {images:,} of the {count:,} images: there is no time for all"),
            name=f"an epoch of {images:,} images",
            required_seconds=steps * step_seconds + other_seconds,
            recommended_seconds=seconds,
        )

    def _step_graph(self, layer: nn.Layer, shape: nn.ImageShape, plan: TrainingPlan) -> Graph:
        """Return the graph of a training step on images of `shape`."""
        loss = loss_of(plan, self.data.task.for_network(self.choice.network, shape[1:]), mixed=False)
        frozen, views = plan.stages[0].frozen, views_of(self.data.task, plan.loss).count
        return nn.training_graph(
            layer, shape, optimizer_of(plan, layer), loss, ema=plan.ema, frozen=frozen, views=views
        )

    def _evaluation_image_seconds(self, layer: nn.Layer, shape: nn.ImageShape) -> float:
        """Return the time of a forward pass of one image in evaluation; `shape` is that of images in training."""
        if self.meter.precision is Precision.FLOAT32:
            return prod(self.data.shape) / prod(shape) * self._forward_seconds()
        return self.meter.evaluation_seconds(nn.trace(layer, self.data.shape), features.BATCH)

    def _forward_seconds(self) -> float:
        """Return the time of a forward pass of one image in the size of training."""
        return self.step.image_seconds / STEP_FORWARD_PASSES

    def _once_seconds(self) -> float:
        """Return the time for what is computed once and not in every epoch."""
        return 0.0

    def _cache_bytes(self) -> float:
        """Return the memory for what is computed once."""
        return 0.0

    def _final_seconds(self) -> float:
        """Return the time to calibrate and evaluate the model, and the report's beyond its share."""
        validation = len(self.data.validation or ())
        evaluations = (len(self.data.test or ()) + validation) * self.forward_seconds if validation else 0.0
        return evaluations + report_overrun_seconds(self.data, self.forward_seconds, self.budget)

    def _recipe_plan(self, batch: int | None) -> TrainingPlan:
        options, images = self.options, len(self.data.train)
        plan = Recipe(options.epochs, batch, options.learning_rate, options.seed).plan(self.choice.network, images)
        return with_optimizer(plan, options, images)

    def _batches(self, largest: int) -> list[int]:
        """Return the batch sizes to try, each half of the one before; only one if the options fix it."""
        batches = [largest]
        while self.options.batch is None and self.options.optimizer != FULL_BATCH and batches[-1] // 2 >= MIN_BATCH:
            batches.append(batches[-1] // 2)
        return batches


def _training_shape(stage: Stage, data: Dataset) -> nn.ImageShape:
    """Return the shape of the images that a stage trains on."""
    return data.shape if stage.size is None else (data.shape[0], stage.size, stage.size)
