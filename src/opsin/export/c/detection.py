"""The decoding of a detector's outputs in C: positions, scores and non-maximum suppression."""

from __future__ import annotations

from opsin.export.c.program import OFFSETS, Shipment
from opsin.export.c.templates import asset, floats
from opsin.export.runtime.tasks import task_description
from opsin.tasks.detection.heads import AnchorHead
from opsin.tasks.detection.heads.anchors import MAX_LOG_RATIO


def header(shipment: Shipment) -> str:
    """Return the declarations for a detector."""
    description = task_description(shipment.model)
    return asset(
        "detect.h", shipment, score=floats([description["score"]]), max_boxes=description["maxDetections"]
    )  # fmt: skip


def source(shipment: Shipment) -> str:
    """Return the functions of a detector."""
    description, head = task_description(shipment.model), shipment.model.task.head
    settings = {
        "LOGITS": head.logits, "BACKGROUND": head.logits - head.classes, "MAX_OVERLAP": description["maxOverlap"],
        "MAX_CANDIDATES": description["maxCandidates"],
        "OFFSETS_AT": shipment.program.outputs[OFFSETS].address.offset,
    }  # fmt: skip
    prefix = shipment.prefix.upper()
    macros = "".join(f"#define {prefix}_{name} {value}\n" for name, value in settings.items())
    if isinstance(head, AnchorHead):
        places = asset(
            "anchors.c", shipment, max_log_ratio=MAX_LOG_RATIO.hex(), **_default_boxes(description["levels"])
        )  # fmt: skip
    else:
        places = asset("points.c", shipment, strides=", ".join(map(str, head.strides)))
    return macros + asset("exponential.c", shipment) + places + asset("detect.c", shipment)


def _default_boxes(levels: list[dict[str, object]]) -> dict[str, str]:
    """Return the rows of the tables `maps` and `shapes`."""
    maps, shapes = [], list[str]()
    for level in levels:
        own: list[list[float]] = level["shapes"]  # type: ignore[assignment]
        rows, columns = int(str(level["rows"])), int(str(level["columns"]))
        down, across = (float(str(level[name])).hex() for name in ("down", "across"))
        maps.append(f"    {{{columns}, {rows * columns * len(own)}, {len(shapes)}, {len(own)}, {down}, {across}}},")
        shapes += [f"    {{{float(width).hex()}, {float(height).hex()}}}," for width, height in own]
    return {"maps": "\n".join(maps), "shapes": "\n".join(shapes)}
