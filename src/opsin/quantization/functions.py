"""Functions of one number, which a quantized network looks up in a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.ir import FLOAT, Node, Shape, Tensor
from opsin.quantization.steps import Array, Function

POINTWISE_OPS = frozenset(
    (
        "absolute", "add", "divide", "equal", "erf", "exp", "greater", "log", "maximum", "minimum", "multiply",
        "negate", "power", "relu", "relu6", "rsqrt", "sigmoid", "sign", "sqrt", "square", "subtract", "tanh", "where",
    )
)  # fmt: skip


def root_of(node: Node, values: Mapping[Tensor, NDArray[Any]], roots: Mapping[Tensor, Tensor]) -> Tensor | None:
    """Return the tensor of which `node` computes a function, number by number; None if it does something else."""
    if node.op.name not in POINTWISE_OPS or node.output.dtype != FLOAT:
        return None
    sources = {roots.get(t, t) for t in node.inputs if t not in values}
    if len(sources) != 1:
        return None
    (root,) = sources
    if root.shape != node.output.shape or root.dtype != FLOAT:
        return None
    constants = [values[t].shape for t in node.inputs if t in values]
    return root if all(by_channel(shape, root) for shape in constants) else None


def by_channel(shape: Shape, x: Tensor) -> bool:
    """Whether a constant of `shape` has one number, or one for each channel, axis 1 of `x`."""
    sizes = (*[1] * (x.rank - len(shape)), *shape)
    return len(shape) <= x.rank and all(size == 1 for axis, size in enumerate(sizes) if axis != 1)


def table(step: Function, values: Mapping[Tensor, NDArray[Any]], numbers: Array) -> Array:
    """Return the results of a function for `numbers`, n or n × C: C × n, with C = 1 if the channels do not differ."""
    (root,), columns = step.inputs, numbers if numbers.ndim == 2 else numbers[:, None]
    channels = int(str(root.shape[1])) if root.rank > 1 else 1
    x = np.broadcast_to(columns, (len(columns), channels)).reshape(len(columns), -1, *[1] * (root.rank - 2))
    results: dict[Tensor, NDArray[Any]] = {root: x}
    with np.errstate(all="ignore"):
        for node in step.path:
            operands = [results[t] if t in results else values[t] for t in node.inputs]
            results[node.output] = np.asarray(node.op.evaluate(*operands, **node.attrs))
    result = np.broadcast_to(results[step.output], x.shape).reshape(len(columns), -1).T
    return result[:1] if (result == result[:1]).all() else result
