"""Checks that several tasks share: of networks, and of data with other labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError, ShapeError
from opsin.ir import Graph
from opsin.tasks.task import Task


def check_logits(graph: Graph, count: int, needed: str) -> None:
    """Raise `ShapeError` unless the output "logits" is N × `count`; `needed` says in a clause what is needed."""
    logits = graph.outputs.get("logits")
    if logits is None or logits.shape[1:] != (count,):
        raise ShapeError(f"the network gives {outputs_text(graph)}, but {needed}; end it with Linear({count})")


def outputs_text(graph: Graph) -> str:
    """Return the type of the output "logits" or, if there is none, the names of the outputs."""
    logits = graph.outputs.get("logits")
    return str(logits.type) if logits is not None else ", ".join(graph.outputs)


def check_same_task(task: Task, other: Task) -> None:
    """Raise `DataError` if data with the task `other` is not for `task`."""
    if other.name != task.name:
        raise DataError(f"the data is for {other.name}, but the model does {task.name}")


def label_numbers(task: Task, other: Task, kind: str = "class") -> NDArray[np.int32]:
    """Return the place among the labels of `task` for each label of data with the task `other`.

    Raise `DataError` if the data is for another task, or has a label that this one does not know; a label is a `kind`.
    """
    check_same_task(task, other)
    if unknown := [name for name in other.labels if name not in task.labels]:
        known = ", ".join(task.labels)
        raise DataError(f"the data has a {kind} '{unknown[0]}' that the model does not know; it knows {known}")
    return np.array([task.labels.index(name) for name in other.labels], np.int32)
