"""A run's curves for TensorBoard, by the package tensorboardX (an extra, which needs no TensorFlow)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from opsin.base.errors import UsageError
from opsin.base.optional import require
from opsin.training.events import Epoch, Event, Started, Step

EVERY = 20
"""Steps whose mean is one point of the curve."""


def require_tensorboard() -> Any:
    """Return the package tensorboardX. `UsageError` if it is not installed."""
    text = "curves for TensorBoard need a package more: pip install 'opsin[tensorboard]'"
    return require("tensorboardX", UsageError, text)


class TensorBoard:
    """Writes the events it is called with to `folder`. `UsageError` if tensorboardX is not installed."""

    def __init__(self, folder: Path) -> None:
        self._make: Any = require_tensorboard().SummaryWriter
        self._folder = folder
        self._writer: Any = None
        self._losses: list[float] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):  # what a sitting that was cut off wrote beyond its last checkpoint is left out
            self._writer = self._make(str(self._folder), purge_step=event.done + 1)
        elif isinstance(event, Step):
            self._losses.append(event.loss)
            if len(self._losses) == EVERY:
                self._writer.add_scalar("training/loss", sum(self._losses) / EVERY, event.step)
                self._losses = []
        elif isinstance(event, Epoch):
            self._writer.add_scalar("training/accuracy", event.accuracy, event.steps)
            self._writer.add_scalar("validation/accuracy", event.held_out.accuracy, event.steps)
            self._writer.add_scalar("validation/loss", event.held_out.loss, event.steps)
            self._writer.flush()

    def close(self) -> None:
        """Writes what is still to be written."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
