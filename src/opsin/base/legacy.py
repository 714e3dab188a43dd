"""Names in files and outputs of Opsin 0.1.0, which this version still reads and, in JSON output, still gives."""

from __future__ import annotations

from typing import Any

RENAMED = {"pictures": "images", "picture": "image"}
"""Keys of dictionaries: the old name, and the name since."""

INPUT = {"pictures": "inputs"}
"""Inputs of graphs."""

TENSORS = {"golden.pictures": "golden.images"}
"""Tensors of model files."""

TUNING_RECORD = {"model": "heuristic", "way": "algorithm"}
"""Keys of the records of tuned convolutions."""

NEW = {new: old for old, new in RENAMED.items()}


def renamed(data: Any) -> Any:
    """JSON data with old keys renamed, at every depth."""
    if isinstance(data, dict):
        return {RENAMED.get(key, key): renamed(value) for key, value in data.items()}
    return [renamed(value) for value in data] if isinstance(data, list | tuple) else data


def with_old_keys(data: Any) -> Any:
    """JSON data in which every renamed key also stands under its old name."""
    if isinstance(data, dict):
        new = {key: with_old_keys(value) for key, value in data.items()}
        return new | {NEW[key]: value for key, value in new.items() if key in NEW}
    return [with_old_keys(value) for value in data] if isinstance(data, list | tuple) else data


def renamed_graph(data: Any) -> Any:
    """A graph as data, with old names of its inputs renamed."""
    if not isinstance(data, dict) or not isinstance(data.get("nodes"), list):
        return data  # The caller says what is wrong with it.
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
