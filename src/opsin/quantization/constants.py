"""The values of the parts of a graph that depend only on its variables, such as those of batch normalization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.ir import FLOAT, VARIABLE, Graph, Size, Tensor


def constant_values(graph: Graph, state: Mapping[str, NDArray[Any]]) -> dict[Tensor, NDArray[Any]]:
    """Return the values of all tensors that depend neither on an input nor on the batch; real numbers in float64."""
    values: dict[Tensor, NDArray[Any]] = {}
    for node in graph.nodes:
        if node.op is VARIABLE:
            array = state[node.attrs["name"]]
            values[node.output] = array.astype(np.float64) if node.output.dtype == FLOAT else array
        elif all(t in values for t in node.inputs) and not _depends_on_batch(node.attrs) and _is_computable(node):
            with np.errstate(all="ignore"):
                values[node.output] = np.asarray(node.op.evaluate(*[values[t] for t in node.inputs], **node.attrs))
    return values


def _is_computable(node: Any) -> bool:
    return len(node.outputs) == 1 and node.op.name not in ("input", "bernoulli")


def _depends_on_batch(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_depends_on_batch, value.values()))
    if isinstance(value, tuple):
        return any(map(_depends_on_batch, value))
    return isinstance(value, Size)
