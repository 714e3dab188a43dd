"""A run's curves for TensorBoard, written by the optional package tensorboardX, which needs no TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from opsin.base.errors import UsageError
from opsin.base.optional import require
from opsin.training.events import Epoch, Event, Started, Step

STEPS_PER_POINT = 20
"""The number of steps whose mean loss is one point of the curve."""


def require_tensorboard() -> Any:
    """Return the package tensorboardX. `UsageError` if it is not installed."""
    text = "curves for TensorBoard need another package: pip install 'opsin[tensorboard]'"
    return require("tensorboardX", UsageError, text)


class TensorBoard:
    """Writes the events that it is called with to `folder`. `UsageError` if tensorboardX is not installed."""

    def __init__(self, folder: Path) -> None:
        self._make: Any = require_tensorboard().SummaryWriter
        self._folder = folder
        self._writer: Any = None
        self._losses: list[float] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):  # Points beyond the last checkpoint of an earlier process are removed.
            self._writer = self._make(str(self._folder), purge_step=event.done + 1)
        elif isinstance(event, Step):
            self._losses.append(event.loss)
            if len(self._losses) == STEPS_PER_POINT:
                self._writer.add_scalar("training/loss", sum(self._losses) / STEPS_PER_POINT, event.step)
                self._losses = []
        elif isinstance(event, Epoch):
            if event.accuracy is not None:
                self._writer.add_scalar("training/accuracy", event.accuracy, event.steps)
            for name, value in event.held_out.metrics.items():
                self._writer.add_scalar(f"validation/{name}", value, event.steps)
            self._writer.add_scalar("validation/loss", event.held_out.loss, event.steps)
            self._writer.flush()

    def close(self) -> None:
        """Write what is still buffered."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
