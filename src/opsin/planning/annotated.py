"""Plans for annotated images: the defaults of their task, for as many epochs as the time allows."""

from __future__ import annotations

from opsin import nn, zoo
from opsin.base.concurrency import lazy
from opsin.base.errors import UsageError
from opsin.base.formatting import listed
from opsin.data import Dataset
from opsin.inputs.registry import NOUNS
from opsin.ir import Graph
from opsin.model.pretrained import prepared_network
from opsin.planning.budget import Budget
from opsin.planning.measurement import CostMeter
from opsin.planning.optimization import with_optimizer
from opsin.planning.options import NetworkChoice, TrainOptions
from opsin.planning.scratch import ScratchPlanner
from opsin.tasks.registry import sample_defaults
from opsin.tasks.task import Defaults, TimedTask
from opsin.training import freezing
from opsin.training.features import MAX_BYTES_IN_MEMORY
from opsin.training.plan import Stage, TrainingPlan
from opsin.training.stages import loss_of, optimizer_of

WARMUP_FRACTION = 0.15

SIDE_STEP = 32
"""The side of smaller images in training is a multiple of this, in pixels."""


class AnnotatedPlanner(ScratchPlanner):
    """Plans by the defaults of a task; a network with trained weights learns in all layers from the start."""

    def __init__(
        self, choice: NetworkChoice, data: Dataset, options: TrainOptions, budget: Budget, meter: CostMeter
    ) -> None:
        """Raise `ShapeError` or `UsageError`, before anything is measured, if the network does not suit the task."""
        self.extractor: Graph | None = None
        layer = prepared_network(choice.network, data.task, data.input)
        data = data.stacked(zoo.frames(choice.network)).for_network(choice.network)
        graph = nn.trace(layer, data.shape)
        data.task.check(graph)
        self.too_long = data.task.too_long(data.train.targets, graph) if isinstance(data.task, TimedTask) else ()
        super().__init__(choice, data, options, budget, meter)

    def _recipe_plan(self, batch: int | None) -> TrainingPlan:
        options, images = self.options, len(self.data.train)
        defaults = defaults_for(self.choice, self.data)
        stage = Stage(
            epochs=options.epochs or defaults.max_epochs, batch=min(batch or defaults.batch, images),
            learning_rate=options.learning_rate or defaults.learning_rate, warmup_fraction=WARMUP_FRACTION,
            augment=defaults.augment, size=self._train_side(defaults), frozen=self._frozen(defaults),
            features=self._freezes(defaults) and not self._augments(defaults),
            flip=defaults.flip if self._crops(defaults) else None,
        )  # fmt: skip
        plan = TrainingPlan(
            network=self.choice.network, stages=(stage,), pretrained=self.choice.pretrained,
            weights=self.choice.weights, seed=options.seed, weight_decay=defaults.weight_decay, ema=defaults.ema,
            patience=defaults.patience, loss=options.loss,
        )  # fmt: skip
        return with_optimizer(plan, options, images)

    def _frozen(self, defaults: Defaults) -> tuple[str, ...]:
        """Return the layers that are not trained."""
        if self._freezes(defaults):
            return self._published_layers()
        if not (self.choice.is_transfer and defaults.frozen_norms):
            return ()
        return freezing.published_norms(self.choice.network_for(self.data.task, self.data.input))

    def _freezes(self, defaults: Defaults) -> bool:
        """Return whether the layers with published weights keep them: by the options, or by default."""
        return self.options.freeze or (defaults.freeze and self.choice.is_transfer)

    def _published_layers(self) -> tuple[str, ...]:
        """Return the layers with trained weights. Raise `UsageError` if training does not begin with any."""
        if not self.choice.is_transfer:
            raise UsageError(
                f"--freeze keeps published weights, but {self.choice.network} would be trained from scratch; leave it "
                "out, or give a --network whose published weights are installed"
            )
        return freezing.published_layers(self.choice.network_for(self.data.task, self.data.input), self.data.shape)

    def _augments(self, defaults: Defaults) -> bool:
        """Return whether images change at random."""
        return self._crops(defaults) or bool(self.options.flip or self.options.signed)

    def _crops(self, defaults: Defaults) -> bool:
        """Return whether the options and the task's defaults ask for more than mirroring."""
        return (self.options.augment or defaults.augment) != "none"

    def _step_graph(self, layer: nn.Layer, shape: nn.ImageShape, plan: TrainingPlan) -> Graph:
        if not plan.stages[0].features:
            return super()._step_graph(layer, shape, plan)
        loss = loss_of(plan, self.data.task.for_network(self.choice.network, shape[1:]), mixed=False)
        self.extractor, step = nn.tapped_graphs(
            layer, shape, optimizer_of(plan, layer), loss, ema=plan.ema, frozen=plan.stages[0].frozen
        )
        return step

    @lazy
    def _extraction_seconds(self) -> float:
        """The time to compute the features of one image; 0 if they are not cached."""
        return self.meter.measure(self.extractor, self.stage.batch).image_seconds if self.extractor else 0.0

    def _forward_seconds(self) -> float:
        return super()._forward_seconds() + self._extraction_seconds

    def _once_seconds(self) -> float:
        return len(self.data.train) * self._extraction_seconds

    def _cache_bytes(self) -> float:
        """Return the memory of cached features that are not on disk."""
        tensors = self.extractor.outputs.values() if self.extractor else ()
        sizes = [4.0 * len(self.data.train) * freezing.element_count(tensor) for tensor in tensors]
        return sum(size for size in sizes if size <= MAX_BYTES_IN_MEMORY)

    def _epochs_reasons(self, epochs: int) -> tuple[str, ...]:
        reasons = super()._epochs_reasons(epochs)
        if len(self.too_long):
            names = self.data.train.names or [f"sample {number + 1:,}" for number in range(len(self.data.train))]
            shown = listed((names[number] for number in self.too_long), 3)
            many = NOUNS[self.data.train.kind][1]
            reasons = (
                f"nothing is learned from {len(self.too_long):,} of the {many}, too short for their transcripts: "
                f"{shown}",
                *reasons,
            )
        if not self.stage.frozen or not self._freezes(defaults_for(self.choice, self.data)):
            return reasons
        kept = "the layers with trained weights keep them"
        how = (
            "their outputs are computed once"
            if self.extractor
            else "with --augment none, their outputs are computed once"
        )
        return (f"{kept}; {how}", *reasons)

    def _train_side(self, defaults: Defaults) -> int | None:
        """Return the side of the images that are trained on; None for that of all images.

        Images that are not cropped at random keep their size, and so do those that are not square.
        """
        _, height, width = self.data.shape
        side = round(defaults.train_share * height / SIDE_STEP) * SIDE_STEP
        return side if height == width and self._crops(defaults) and 0 < side < height else None


def defaults_for(choice: NetworkChoice, data: Dataset) -> Defaults:
    """Return what a plan without options takes: the defaults of the task for images, or of another kind of input."""
    defaults: Defaults
    if data.input is not None:
        own = sample_defaults(choice.summary.task, len(data.train))
        defaults = own or data.input.defaults(choice.network, len(data.train))
    else:
        defaults = data.task.defaults(choice.summary.annotated_images)
    return defaults
