"""Writing snapshots of a run while it trains."""

from __future__ import annotations

from opsin.base.errors import TrainingError
from opsin.training.events import Warning
from opsin.training.recorder import Recorder
from opsin.training.state import Snapshot


class Checkpointer:
    """Has `recorder` write a checkpoint if one is due, and after each epoch; without a recorder, never.

    Training continues if one cannot be written, for example because the disk is full; the first of several failures
    is reported.
    """

    def __init__(self, recorder: Recorder | None) -> None:
        self.recorder = recorder
        self.failing = False

    def on_step(self, snapshot: Snapshot) -> Warning | None:
        """Write a checkpoint if one is due."""
        return self._write(snapshot) if self.recorder and self.recorder.due else None

    def on_epoch(self, snapshot: Snapshot) -> Warning | None:
        """Write a checkpoint."""
        return self._write(snapshot)

    def _write(self, snapshot: Snapshot) -> Warning | None:
        was_failing, self.failing = self.failing, False
        try:
            if self.recorder:
                self.recorder.save(snapshot)
        except TrainingError as error:
            self.failing = True
            if not was_failing:
                return Warning(f"{error}; training continues without it and tries again later")
        return None
