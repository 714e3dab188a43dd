"""Names in a file as names of variables and layers."""

from __future__ import annotations

import re

RESERVED = ("golden.", "loss.", "optimizer.", "random.")
"""Prefixes of names that training and model files use themselves."""
TAKEN = ("inputs", "labels", "learning_rate")
"""Names of a training step's inputs."""
MAX_NAME_LENGTH = 200


class Names:
    """A set of unique names."""

    def __init__(self) -> None:
        self._uses: dict[str, int] = dict.fromkeys(TAKEN, 1)

    def unique(self, name: str) -> str:
        """Return `name`, or `name_2` and so on if it is used already."""
        uses = self._uses.get(name, 0)
        self._uses[name] = uses + 1
        return name if not uses else self.unique(f"{name}_{uses + 1}")


def variable_name(name: str) -> str:
    """Return a valid name: `layer1.0.conv1.weight` is unchanged, `onnx::Conv_193` becomes `onnx.Conv_193`."""
    cleaned = re.sub(r"[^\w.-]+", ".", name[:MAX_NAME_LENGTH], flags=re.ASCII).strip(".") or "weight"
    return f"weights.{cleaned}" if cleaned.startswith(RESERVED) else cleaned


def layer_path(name: str) -> str:
    """Return a node's name as a layer path: `/layer1/layer1.0/conv1/Conv` → `layer1.0.conv1.Conv`.

    PyTorch's exporters write the full path of every module below that of the module it is in.
    """
    parts: list[str] = []
    for part in filter(None, name[:MAX_NAME_LENGTH].split("/")):
        if parts and part.startswith(f"{parts[-1]}."):
            parts.pop()
        parts.append(part)
    return re.sub(r"[^\w.-]+", ".", ".".join(parts), flags=re.ASCII).strip(".") or "node"
