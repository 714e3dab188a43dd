"""Views: random variants of an image that a training step sees, for tasks that learn from these without labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True)
class Views:
    """So many random views of each image in a step, `turned` by random multiples of 90° or not."""

    count: int = 1
    turned: bool = False


ONE_VIEW = Views()


@runtime_checkable
class ViewTask(Protocol):
    """A task whose training needs other views of an image than one that shows the same as the image."""

    def views(self, loss: str | None) -> Views:
        """Return the views of a step that minimizes the `loss` of this name; None: the task's default."""


def views_of(task: Any, loss: str | None) -> Views:
    """Return the views of a training step for any task."""
    return task.views(loss) if isinstance(task, ViewTask) else ONE_VIEW
