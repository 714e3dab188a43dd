"""Checks of a plan, data and network together, before anything is trained."""

from __future__ import annotations

from pathlib import Path

from opsin import nn
from opsin.base.errors import ShapeError, UsageError
from opsin.data import Dataset
from opsin.ir import Graph
from opsin.model.file import check_writable
from opsin.training.plan import TrainingPlan


def check(plan: TrainingPlan, data: Dataset, out: Path | None, threads: int | None) -> None:
    """Raise `UsageError` or `ModelError` if `plan` does not suit `data` or the model cannot be written to `out`."""
    if threads is not None and threads < 1:
        raise UsageError(f"the number of threads must be at least 1, not {threads}")
    if out:
        check_writable(out)
    if plan.class_weights is not None and len(plan.class_weights) != len(data.classes):
        raise UsageError(f"there are {len(plan.class_weights)} class weights for {len(data.classes)} classes")


def inference_graph(layer: nn.Layer, data: Dataset) -> Graph:
    """Return the graph of the network `layer` for images of `data`. `ShapeError` unless it has a logit per class."""
    graph = nn.trace(layer, data.shape)
    outputs, classes = graph.outputs["logits"].shape[1:], len(data.classes)
    if outputs != (classes,):
        raise ShapeError(
            f"the network gives {graph.outputs['logits'].type}, but {data.name} has {classes} classes; "
            f"end it with Linear({classes})"
        )
    return graph
