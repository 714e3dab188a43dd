"""The interface through which the trainer records a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from opsin.training.replay import ReplayStore
from opsin.training.state import Snapshot


class Recorder(Protocol):
    """Stores the log and the checkpoints of a trainer. `opsin.runs.Run` implements it."""

    model: Path
    """The model file that the training ends with."""

    damaged: list[Path]
    """Checkpoints that could not be read when the run was resumed."""

    @property
    def replay(self) -> ReplayStore | None:
        """Where snapshots to look at are written; None if the run keeps none."""

    def resume(self) -> Snapshot | None:
        """Return the last intact snapshot, or None at the start of a run."""

    def log(self, record: Mapping[str, Any]) -> None:
        """Append a record to the log."""

    @property
    def due(self) -> bool:
        """Whether it is time for a checkpoint."""

    def save(self, snapshot: Snapshot) -> None:
        """Write a checkpoint. Raise `TrainingError` if that fails."""

    def close(self) -> None:
        """Release the run."""
