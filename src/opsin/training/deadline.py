"""Finishing in time: if the remaining epochs would take too long, the last stage gets fewer.

If quantization-aware training follows, its time is reserved.
"""

from __future__ import annotations

from collections.abc import Callable

from opsin.training.events import Shortened
from opsin.training.plan import TrainingPlan
from opsin.training.state import TrainerState
from opsin.training.truncation import affordable_epochs, truncated_epochs

QAT_COST = 1.5
"""The time of an epoch that simulates 8-bit integers, relative to an ordinary one; `bench/qat_cost.py` measures it."""


class Deadline:
    """Decides after each epoch of the last stages how many epochs fit into `seconds` of training; None: all.

    `clock` gives the time in seconds.
    """

    def __init__(self, plan: TrainingPlan, seconds: float | None, clock: Callable[[], float]) -> None:
        self.plan, self.seconds, self.clock = plan, seconds, clock
        self.entry_epoch = 0
        self.start_time = 0.0
        self.start_step = 0

    def on_stage_start(self, state: TrainerState) -> None:
        """Note the epoch with which this process enters the stage."""
        self.entry_epoch = state.epoch

    def on_epoch_start(self, state: TrainerState) -> None:
        """Note the time and the first step of the epoch."""
        self.start_time = self.clock()
        self.start_step = state.step

    def on_epoch(self, state: TrainerState, steps: int) -> Shortened | None:
        """Return the event with fewer epochs if the time demands it. The epoch that has just ended had `steps` steps.

        While features are computed, which a resumed run does again, nothing is decided: later epochs are much shorter.
        """
        stage = self.plan.stages[state.stage]
        computing = stage.features and state.epoch - self.entry_epoch <= stage.views
        if self.seconds is None or computing or state.stage < self.plan.last_ordinary:
            return None
        epoch_seconds = (self.clock() - self.start_time) * steps / max(1, steps - self.start_step)
        epochs = truncated_epochs(stage.epochs, state.truncations)
        reserve = QAT_COST * epoch_seconds * sum(later.epochs for later in self.plan.stages[state.stage + 1 :])
        affordable = affordable_epochs(state.epoch, epochs, epoch_seconds, self.seconds - state.seconds - reserve)
        return None if affordable is None else Shortened(stage.name, state.epoch, affordable, stage.epochs)
