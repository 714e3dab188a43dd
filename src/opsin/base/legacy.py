"""Names in files and outputs of Opsin 0.1.0, which this version still reads and, in JSON output, still gives."""

from __future__ import annotations

from typing import Any

RENAMED = {"pictures": "images", "picture": "image"}
"""Keys of dictionaries: the old name, and the name since."""

INPUT = {"pictures": "inputs"}
"""Inputs of graphs."""

TENSORS = {"golden.pictures": "golden.images"}
"""Tensors of model files."""

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
    nodes = []
    for node in data["nodes"]:
        attrs = node["attrs"]
        name = attrs.get("name") if node["op"] == "input" else None
        nodes.append({**node, "attrs": {**attrs, "name": INPUT[name]}} if name in INPUT else node)
    return {**data, "nodes": nodes}
