"""The ONNX file of a network, for libraries that only predict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from opsin.interop import onnx
from opsin.ir import Graph


def write_onnx(path: Path, graph: Graph, weights: Mapping[str, NDArray[Any]], batch: int) -> None:
    """Write an inference graph for `batch` images, from "inputs" to "output0", "output1", …

    Raise `UsageError` for an operation that ONNX does not have.
    """
    numbered = {f"output{number}": tensor for number, tensor in enumerate(graph.outputs.values())}
    path.write_bytes(onnx.to_bytes(Graph(graph.inputs, numbered).bind(batch), weights))
