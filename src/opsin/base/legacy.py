"""Names in files and outputs of Opsin 0.1.0, which this version still reads and, in JSON output, still writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

NEW_NAMES = {"pictures": "images", "picture": "image"}
"""Keys of dictionaries: old name, new name."""

INPUT = {"pictures": "inputs"}
"""Inputs of graphs: old name, new name."""

TENSORS = {"golden.pictures": "golden.images"}
"""Tensors of model files: old name, new name."""

TUNING_RECORD = {"model": "heuristic", "way": "algorithm"}
"""Keys of the records of tuned convolutions."""

CONV_ALGORITHMS = {
    "packed": "implicit GEMM",
    "packed, by phases": "implicit GEMM, strided dgrad",
    "Winograd, by blocks": "Winograd, fused",
    "Winograd, by points": "Winograd, non-fused",
}
"""Convolution algorithms in plans and tuning records."""

OLD_NAMES = {new: old for old, new in NEW_NAMES.items()}


def _same(value: Any) -> Any:
    return value


def _algorithms(names: Mapping[str, str]) -> Callable[[Any], Any]:
    """Return a function that renames the algorithms of a plan, a dictionary by convolution problem."""

    def convert(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value  # The caller says what is wrong with it.
        return {key: names.get(name, name) if isinstance(name, str) else name for key, name in value.items()}

    return convert


@dataclass(frozen=True)
class Rename:
    """A field that was called `old` and is called `new`; `upgrade` and `downgrade` convert its value."""

    old: str
    new: str
    upgrade: Callable[[Any], Any] = _same
    downgrade: Callable[[Any], Any] = _same


TTA = Rename("mirrored", "tta", lambda flag: "hflip" if flag else None, lambda tta: tta == "hflip")
WINOGRAD = Rename("exact", "winograd", lambda flag: not flag, lambda flag: not flag)

PLAN = (
    Rename("shift_rate", "norm_bias_lr_scale"),
    Rename("smoothing", "label_smoothing"),
    TTA,
    WINOGRAD,
    Rename(
        "choices",
        "conv_algorithms",
        _algorithms(CONV_ALGORITHMS),
        _algorithms({new: old for old, new in CONV_ALGORITHMS.items()}),
    ),
)
"""Fields of a training plan."""

STAGE = (Rename("rise", "warmup_fraction"),)
"""Fields of a stage of a training plan."""

TRAINER_STATE = (
    Rename("losses", "loss_sum"),
    Rename("lowest", "best_loss"),
    Rename("factor", "lr_scale"),
    Rename("cuts", "truncations"),
)
"""Fields of the trainer's state in checkpoints of format 1."""


def renamed(data: Any) -> Any:
    """Return JSON data with old keys renamed, at every depth."""
    if isinstance(data, dict):
        return {NEW_NAMES.get(key, key): renamed(value) for key, value in data.items()}
    return [renamed(value) for value in data] if isinstance(data, list | tuple) else data


def upgraded(data: Mapping[str, Any], renames: Iterable[Rename]) -> dict[str, Any]:
    """Return `data` with its old keys renamed and their values converted, in the same order."""
    rows = {row.old: row for row in renames}
    return {
        rows[key].new if key in rows else key: rows[key].upgrade(value) if key in rows else value
        for key, value in data.items()
    }


def upgraded_plan(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a training plan as JSON has it, with its old keys and those of its stages renamed."""
    stages = data.get("stages")
    if not isinstance(stages, list | tuple):
        return upgraded(data, PLAN)  # The caller says what is wrong with it.
    upgraded_stages = [upgraded(stage, STAGE) if isinstance(stage, Mapping) else stage for stage in stages]
    return {**upgraded(data, PLAN), "stages": upgraded_stages}


def with_old_keys(data: Any) -> Any:
    """Return JSON data in which every renamed key also appears under its old name."""
    if isinstance(data, dict):
        renamed_data = {key: with_old_keys(value) for key, value in data.items()}
        rows = PLAN if "stages" in renamed_data else STAGE if "learning_rate" in renamed_data else ()
        renamed_data |= {row.old: row.downgrade(renamed_data[row.new]) for row in rows if row.new in renamed_data}
        return renamed_data | {OLD_NAMES[key]: value for key, value in renamed_data.items() if key in OLD_NAMES}
    return [with_old_keys(value) for value in data] if isinstance(data, list | tuple) else data


def renamed_graph(data: Any) -> Any:
    """Return a graph, given as data, with the old names of its inputs renamed."""
    if not isinstance(data, dict) or not isinstance(data.get("nodes"), list):
        return data  # The caller reports what is wrong with it.
    nodes = []
    for node in data["nodes"]:
        if isinstance(node, dict) and node.get("op") == "input" and isinstance(node.get("attrs"), dict):
            name = node["attrs"].get("name")
            node = {
                **node,
                "attrs": {**node["attrs"], "name": INPUT.get(name, name) if isinstance(name, str) else name},
            }
        nodes.append(node)
    return {**data, "nodes": nodes}
