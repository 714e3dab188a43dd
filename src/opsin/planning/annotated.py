"""Plans for annotated images: the defaults of their task, for as many epochs as the time allows."""

from __future__ import annotations

from opsin import nn, zoo
from opsin.data import Dataset
from opsin.planning.budget import Budget
from opsin.planning.measurement import CostMeter
from opsin.planning.optimization import with_optimizer
from opsin.planning.options import NetworkChoice, TrainOptions
from opsin.planning.scratch import ScratchPlanner
from opsin.tasks.task import Defaults
from opsin.training import freezing
from opsin.training.plan import Stage, TrainingPlan

WARMUP_FRACTION = 0.15

SIDE_STEP = 32
"""The side of smaller images in training is a multiple of this, in pixels."""


class AnnotatedPlanner(ScratchPlanner):
    """Plans by the defaults of a task; a network with published weights learns in all layers from the start."""

    def __init__(
        self, choice: NetworkChoice, data: Dataset, options: TrainOptions, budget: Budget, meter: CostMeter
    ) -> None:
        """Raise `ShapeError` or `UsageError`, before anything is measured, if the network does not suit the task."""
        layer = zoo.find(choice.network)(data.task.outputs, task=data.task.name)
        data = data.stacked(zoo.frames(choice.network)).for_network(choice.network)
        data.task.check(nn.trace(layer, data.shape))
        super().__init__(choice, data, options, budget, meter)

    def _recipe_plan(self, batch: int | None) -> TrainingPlan:
        summary, options, images = self.choice.summary, self.options, len(self.data.train)
        defaults = self.data.task.defaults(summary.annotated_images)
        stage = Stage(
            epochs=options.epochs or defaults.max_epochs, batch=min(batch or defaults.batch, images),
            learning_rate=options.learning_rate or defaults.learning_rate, warmup_fraction=WARMUP_FRACTION,
            augment=defaults.augment, size=self._train_side(defaults), frozen=self._frozen(defaults),
        )  # fmt: skip
        plan = TrainingPlan(
            network=self.choice.network, stages=(stage,), pretrained=self.choice.pretrained, seed=options.seed,
            weight_decay=defaults.weight_decay, ema=defaults.ema, patience=defaults.patience,
        )  # fmt: skip
        return with_optimizer(plan, options, images)

    def _frozen(self, defaults: Defaults) -> tuple[str, ...]:
        """Return the layers that are not trained."""
        if not (self.choice.pretrained and defaults.frozen_norms):
            return ()
        task = self.data.task
        return freezing.published_norms(zoo.find(self.choice.network)(task.outputs, pretrained=True, task=task.name))

    def _train_side(self, defaults: Defaults) -> int | None:
        """Return the side of the images that are trained on; None for that of all images.

        Images that are not cropped at random keep their size, and so do those that are not square.
        """
        _, height, width = self.data.shape
        side = round(defaults.train_share * height / SIDE_STEP) * SIDE_STEP
        is_cropped = (self.options.augment or defaults.augment) != "none"
        return side if height == width and is_cropped and 0 < side < height else None
