"""The decoding of a detector's outputs in C: positions, scores and non-maximum suppression."""

from __future__ import annotations

from typing import Any

import numpy as np

from opsin.backends.c import Table
from opsin.export.c.exponential import EXPONENTIAL, exponential
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


def source(shipment: Shipment) -> tuple[str, tuple[Table, ...]]:
    """Return the functions of a detector, and their tables."""
    description, head = task_description(shipment.model), shipment.model.task.head
    settings = {
        "LOGITS": head.logits, "BACKGROUND": head.logits - head.classes, "MAX_OVERLAP": description["maxOverlap"],
        "MAX_CANDIDATES": description["maxCandidates"],
        "OFFSETS_AT": shipment.program.outputs[OFFSETS].address.offset,
    }  # fmt: skip
    prefix = shipment.prefix.upper()
    macros = "".join(f"#define {prefix}_{name} {value}\n" for name, value in settings.items())
    if isinstance(head, AnchorHead):
        rows, tables = _default_boxes(description["levels"])
        places = asset("anchors.c", shipment, max_log_ratio=MAX_LOG_RATIO.hex(), **rows)
    else:
        tables = (Table.of("strides", head.strides, np.int32),)
        places = asset("points.c", shipment, strides=", ".join(map(str, head.strides)))
    return macros + exponential(shipment) + places + asset("detect.c", shipment), (EXPONENTIAL, *tables)


def _default_boxes(levels: list[dict[str, Any]]) -> tuple[dict[str, str], tuple[Table, ...]]:
    """Return the rows of the maps, of how many cells fill an image, and of the shapes of boxes; and these tables."""
    counts = [len(level["shapes"]) for level in levels]
    maps = [
        (level["columns"], level["rows"] * level["columns"] * count, sum(counts[:number]), count)
        for number, (level, count) in enumerate(zip(levels, counts, strict=True))
    ]
    doubles = {
        "cells": [(level["down"], level["across"]) for level in levels],
        "shapes": [shape for level in levels for shape in level["shapes"]],
    }
    texts = {"maps": [[str(number) for number in row] for row in maps]} | {
        name: [[float(number).hex() for number in row] for row in rows] for name, rows in doubles.items()
    }
    tables = [Table.of("maps", maps, np.int32), *(Table.of(*item, np.float64) for item in doubles.items())]
    return {name: "\n".join(f"  {{{', '.join(row)}}}," for row in rows) for name, rows in texts.items()}, tuple(tables)
