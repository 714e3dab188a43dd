"""What the script must know of a task to turn outputs into answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opsin.base.errors import UsageError
from opsin.model import Model
from opsin.tasks.detection.calibration import DEFAULT_SCORE
from opsin.tasks.detection.heads import AnchorHead, Layout
from opsin.tasks.detection.results import MAX_CANDIDATES, MAX_DETECTIONS, MAX_OVERLAP
from opsin.tasks.identity.calibration import SameThreshold
from opsin.tasks.multilabel.calibration import LabelThresholds
from opsin.tasks.segmentation.colours import colour_of

DEFAULT_THRESHOLD = 0.5


def task_description(model: Model) -> dict[str, Any]:
    """Return the name, the labels and the numbers of a model's task.

    Raise `UsageError` for a task that exports do not answer.
    """
    name = model.task.name
    if name not in DESCRIPTIONS:
        raise UsageError(
            f"{model.name} does {name}, whose outputs no export decodes yet; those of {', '.join(DESCRIPTIONS)} can be "
            "shipped, and the format torch takes any model"
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


def _detection(model: Model) -> dict[str, Any]:
    head = model.task.head
    height, width = head.input_size
    description: dict[str, Any] = {
        "positions": head.count, "inputSize": [height, width], "strides": [], "levels": [],
        "score": model.calibration.score if model.calibration else DEFAULT_SCORE,
        "maxCandidates": MAX_CANDIDATES, "maxDetections": MAX_DETECTIONS, "maxOverlap": MAX_OVERLAP,
        "colours": [colour_of(number + 1) for number in range(len(model.labels))],
    }  # fmt: skip
    if isinstance(head, AnchorHead):
        description["levels"] = _levels(head.layout, height, width)
    else:
        description["strides"] = list(head.strides)
    return description


def _levels(layout: Layout, height: int, width: int) -> list[dict[str, Any]]:
    """Return the rows, columns and shapes of the default boxes of each map, and how many boxes fill an image."""
    levels = []
    for level, (rows, columns) in enumerate(zip(layout.cells(height), layout.cells(width), strict=True)):
        step = layout.steps[level] if layout.steps else 0
        down, across = (height / step, width / step) if step else (rows, columns)
        shapes = layout.shapes(level).tolist()
        levels.append({"rows": rows, "columns": columns, "down": down, "across": across, "shapes": shapes})
    return levels


def _identity(model: Model) -> dict[str, Any]:
    calibration: SameThreshold | None = model.calibration
    if calibration is None:
        return {"same": None}
    return {"same": {name: getattr(calibration, name) for name in ("threshold", "slope", "offset")}}


DESCRIPTIONS: dict[str, Callable[[Model], dict[str, Any]]] = {
    "classification": _classification,
    "multilabel": _multilabel,
    "regression": _regression,
    "segmentation": _segmentation,
    "detection": _detection,
    "identity": _identity,
    "self-supervised": lambda _: {"same": None},
}
