"""Checks of a plan, data and network together, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from opsin import nn
from opsin.base.errors import UsageError
from opsin.data import Dataset
from opsin.inputs.registry import NOUNS
from opsin.ir import Graph
from opsin.model.file import check_writable
from opsin.tasks.task import Task
from opsin.tasks.views import ViewTask
from opsin.training.plan import TrainingPlan


def check(plan: TrainingPlan, data: Dataset, out: Path | None, threads: int | None) -> None:
    """Raise `UsageError` or `ModelError` if `plan` does not suit `data` or the model cannot be written to `out`."""
    if threads is not None and threads < 1:
        raise UsageError(f"the number of threads must be at least 1, not {threads}")
    if out:
        check_writable(out)
    labels = data.task.labels
    if plan.class_weights is not None and len(plan.class_weights) != len(labels):
        raise UsageError(f"there are {len(plan.class_weights)} class weights for {len(labels)} classes")
    if plan.tta:
        check_mirrors(data.task)
        if data.input is not None:
            raise UsageError(f"test-time augmentation mirrors images, not {NOUNS[data.train.kind][1]}; leave it out")
    if any(stage.qat for stage in plan.stages):
        check_qat(data.task)
        if data.input is not None:
            raise UsageError(f"quantization-aware training (qat) is for images, not for {NOUNS[data.train.kind][1]}")


def check_mirrors(task: Task) -> None:
    """Raise `UsageError` if the outputs of mirror images cannot be averaged."""
    if not task.mirrors:
        raise UsageError(f"test-time augmentation by mirror images is not possible for {task.name}; leave it out")


def check_qat(task: Task) -> None:
    """Raise `UsageError` if a step of the task cannot simulate 8-bit integers."""
    if isinstance(task, ViewTask):
        raise UsageError(
            f"quantization-aware training (qat) is not possible for {task.name}; leave it out, and round when the "
            "network learns from labels"
        )


def with_signs(data: Dataset, signed: Sequence[str]) -> Dataset:
    """Return the data with a task in which these quantities change their sign in mirror images.

    Raise `UsageError` if the task has no such quantities.
    """
    if not signed:
        return data
    if not hasattr(data.task, "with_signs"):
        raise UsageError(f"{data.task.name} has no numbers that are signed; leave 'signed' out of the plan")
    return data.with_task(data.task.with_signs(signed))


def inference_graph(layer: nn.Layer, data: Dataset) -> Graph:
    """Return the graph of the network `layer` for images of `data`. `ShapeError` unless its outputs suit the task."""
    graph = nn.trace(layer, data.shape)
    data.task.check(graph)
    return graph
