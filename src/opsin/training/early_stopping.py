"""Early stopping: end a stage if its results no longer improve."""

from __future__ import annotations

from opsin.tasks.score import Score
from opsin.tasks.task import Task
from opsin.training.events import StoppedEarly
from opsin.training.plan import TrainingPlan
from opsin.training.state import TrainerState


class EarlyStopping:
    """Compares the results on the held-out images and ends a stage after `plan.patience` epochs without a better one.

    Results are compared by a metric of the task; ties by the loss.
    """

    def __init__(self, plan: TrainingPlan, task: Task) -> None:
        self.plan, self.metric = plan, task.metric(plan.balances)

    def is_best(self, state: TrainerState, score: Score) -> bool:
        """Return whether no earlier epoch of the run did as well."""
        return all(self._merit(score) > self._merit(epoch.held_out) for epoch in state.history)

    def on_epoch(self, state: TrainerState) -> StoppedEarly | None:
        """Return the event that ends the stage before its last planned epoch, or None."""
        stage, patience = self.plan.stages[state.stage], self.plan.patience
        waited = self._epochs_since_best(state, stage.name)
        if patience is None or stage.qat or waited < patience or state.epoch >= stage.epochs:
            return None
        return StoppedEarly(stage.name, state.epoch, state.epoch - waited, waited)

    def _merit(self, score: Score) -> tuple[float, float]:
        return score.metrics.get(self.metric, score.value), -score.loss

    def _epochs_since_best(self, state: TrainerState, stage: str) -> int:
        improvements = [epoch.better for epoch in state.history if epoch.stage == stage]
        return improvements[::-1].index(True) if any(improvements) else len(improvements)
