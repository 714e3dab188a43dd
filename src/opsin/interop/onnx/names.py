"""Conversion of the names in an ONNX file to names of variables and layers."""

from __future__ import annotations

import re

RESERVED_PREFIXES = ("golden.", "loss.", "optimizer.", "random.")
"""Prefixes of the names that training and model files use."""
INPUT_NAMES = ("inputs", "labels", "learning_rate")
"""Names of the inputs of a training step."""
MAX_NAME_LENGTH = 200

CONSTANT_PREFIX = "constant:"
"""How Opsin names initializers that are no variables of the network."""


class UniqueNames:
    """Generator of unique names."""

    def __init__(self) -> None:
        self._uses: dict[str, int] = dict.fromkeys(INPUT_NAMES, 1)

    def unique(self, name: str) -> str:
        """Return `name`, or `name_2`, `name_3`, … if it is in use."""
        uses = self._uses.get(name, 0)
        self._uses[name] = uses + 1
        return name if not uses else self.unique(f"{name}_{uses + 1}")


def variable_name(name: str) -> str:
    """Return a valid name of a variable: `conv1.weight` is unchanged, `onnx::Conv_193` becomes `onnx.Conv_193`."""
    valid_name = re.sub(r"[^\w.-]+", ".", name[:MAX_NAME_LENGTH], flags=re.ASCII).strip(".") or "weight"
    return f"weights.{valid_name}" if valid_name.startswith(RESERVED_PREFIXES) else valid_name


def layer_path(name: str) -> str:
    """Return the layer path for the name of a node: `/layer1/layer1.0/conv1/Conv` → `layer1.0.conv1.Conv`.

    PyTorch's exporters repeat the path of the parent module in the name of each module.
    """
    parts: list[str] = []
    for part in filter(None, name[:MAX_NAME_LENGTH].split("/")):
        if parts and part.startswith(f"{parts[-1]}."):
            parts.pop()
        parts.append(part)
    return re.sub(r"[^\w.-]+", ".", ".".join(parts), flags=re.ASCII).strip(".") or "node"
