"""What the script must know of a task to turn outputs into answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opsin.base.errors import UsageError
from opsin.model import Model
from opsin.tasks.multilabel.calibration import LabelThresholds
from opsin.tasks.segmentation.colours import colour_of

DEFAULT_THRESHOLD = 0.5


def task_description(model: Model) -> dict[str, Any]:
    """Return the name, the labels and the numbers of a model's task.

    Raise `UsageError` for a task that the script does not answer.
    """
    name = model.task.name
    if name not in DESCRIPTIONS:
        raise UsageError(
            f"{model.name} does {name}, and no page or script for browsers decodes its outputs yet; "
            f"those of {', '.join(DESCRIPTIONS)} can be shipped"
        )
    return {"name": name, "labels": list(model.labels), **DESCRIPTIONS[name](model)}


def _classification(model: Model) -> dict[str, Any]:
    calibration = model.calibration
    if calibration is None:
        return {"temperature": 1.0, "threshold": None}
    return {"temperature": calibration.temperature, "threshold": calibration.threshold}


def _multilabel(model: Model) -> dict[str, Any]:
    calibration: LabelThresholds | None = model.calibration
    return {"thresholds": calibration.thresholds if calibration else [DEFAULT_THRESHOLD] * len(model.labels)}


def _regression(model: Model) -> dict[str, Any]:
    task = model.task
    margins = model.calibration.margins if model.calibration else None
    return {
        "units": list(task.units), "scales": list(task.scales), "means": list(task.means), "margins": margins
    }  # fmt: skip


def _segmentation(model: Model) -> dict[str, Any]:
    shape = model.graph.outputs["logits"].shape[1:]
    colours = [colour_of(number) for number in range(len(model.labels))]
    return {"shape": [int(str(size)) for size in shape], "colours": colours}


DESCRIPTIONS: dict[str, Callable[[Model], dict[str, Any]]] = {
    "classification": _classification,
    "multilabel": _multilabel,
    "regression": _regression,
    "segmentation": _segmentation,
}
