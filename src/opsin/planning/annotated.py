"""Plans for annotated images: the defaults of their task, for as many epochs as the time allows."""

from __future__ import annotations

from opsin.planning.optimization import with_optimizer
from opsin.planning.scratch import ScratchPlanner
from opsin.training.plan import Stage, TrainingPlan

WARMUP_FRACTION = 0.15


class AnnotatedPlanner(ScratchPlanner):
    """Plans by the defaults of a task; a network with published weights learns in all layers from the start."""

    def _recipe_plan(self, batch: int | None) -> TrainingPlan:
        summary, options, images = self.choice.summary, self.options, len(self.data.train)
        defaults = self.data.task.defaults(summary.annotated_images)
        stage = Stage(
            epochs=options.epochs or defaults.max_epochs, batch=min(batch or defaults.batch, images),
            learning_rate=options.learning_rate or defaults.learning_rate, warmup_fraction=WARMUP_FRACTION,
            augment=defaults.augment,
        )  # fmt: skip
        plan = TrainingPlan(
            network=self.choice.network, stages=(stage,), pretrained=self.choice.pretrained, seed=options.seed,
            weight_decay=defaults.weight_decay, ema=defaults.ema,
        )  # fmt: skip
        return with_optimizer(plan, options, images)
