"""A graph with the same meaning and fewer nodes.

Arithmetic on constants is done here once; adding zero, multiplying by one and reshaping to the same
shape go away; equal nodes become one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from opsin.graph import INPUT, INT, VARIABLE, Graph, Node, Op, Tensor, apply
from opsin.ops import OPS

FOLDED = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "negate", "sqrt", "power", "log", "exp")


def simplify(graph: Graph) -> Graph:
    """`graph`, bound to a batch, without constant arithmetic, identities and repetitions."""
    known: dict[Any, Node] = {}

    def make(op: Op, operands: tuple[Tensor, ...], attrs: dict[str, Any], scope: str) -> Node:
        key = (op.name, operands, tuple(sorted(attrs.items(), key=lambda item: item[0])))
        if key not in known:
            known[key] = apply(op, operands, attrs, scope)
        return known[key]

    def change(node: Node, inputs: tuple[Tensor, ...]) -> Node | tuple[Tensor, ...]:
        identity = _identity(node, inputs)
        if identity is not None:
            return (identity,)
        pooled = _masked_pooling(node, inputs)
        if pooled is not None:
            x, g = pooled.inputs
            maxima = make(OPS["max_pool2d"], (x,), pooled.attrs, pooled.scope).output
            mask = make(OPS["greater"], (maxima, inputs[0].node.inputs[1]), {}, node.scope).output
            masked = make(OPS["where"], (mask, g, inputs[2]), {}, node.scope).output
            return make(pooled.op, (x, masked), pooled.attrs, pooled.scope)
        op, operands, attrs = _folded(node, inputs) or (node.op, inputs, node.attrs)
        return make(op, operands, attrs, node.scope)

    return graph.rewrite(change)


def _masked_pooling(node: Node, inputs: tuple[Tensor, ...]) -> Node | None:
    """The gradient of a max pooling, if `node` only keeps it where the pooled tensor is above zero: ReLU's gradient.

    It goes to the maxima alone, so that the mask may as well be applied to the pooled gradient, where the
    maximum is above zero: a quarter of the elements, or less.
    """
    if node.op.name != "where" or constant_value(inputs[2]) != 0.0:
        return None
    mask, pooled = inputs[0].node, inputs[1].node
    if mask.op.name != "greater" or constant_value(mask.inputs[1]) != 0.0 or pooled.op.name != "max_pool2d_grad":
        return None
    return pooled if mask.inputs[0] is pooled.inputs[0] and mask.inputs[1].shape == () else None


def constant_value(tensor: Tensor) -> float | None:
    """The number a constant holds, through broadcasting; None for anything else."""
    node = tensor.node
    while node.op.name in ("broadcast_to", "reshape"):
        node = node.inputs[0].node
    return node.attrs["value"] if node.op.name == "constant" else None


def _identity(node: Node, inputs: tuple[Tensor, ...]) -> Tensor | None:
    """The input that `node` merely repeats, if it does."""
    name = node.op.name
    if name == "stop_gradient":
        return inputs[0]
    if name in ("reshape", "broadcast_to") and inputs[0].shape == node.output.shape:
        return inputs[0]
    if name == "transpose" and node.attrs["axes"] == tuple(range(len(node.output.shape))):
        return inputs[0]
    neutral = {"add": (0.0, True), "multiply": (1.0, True), "subtract": (0.0, False), "divide": (1.0, False)}.get(name)
    if neutral is not None:
        value, either = neutral
        for kept, other in ((0, 1), (1, 0)) if either else ((0, 1),):
            if inputs[kept].type == node.output.type and constant_value(inputs[other]) == value:
                return inputs[kept]
    return None


def _folded(node: Node, inputs: tuple[Tensor, ...]) -> tuple[Any, tuple[Tensor, ...], dict[str, Any]] | None:
    if node.op in (INPUT, VARIABLE) or node.op.name not in FOLDED or node.output.shape != ():
        return None
    values = [constant_value(t) for t in inputs]
    if any(value is None for value in values) or node.output.dtype == INT:
        return None
    result = node.op.evaluate(*(np.float64(value) for value in values), **node.attrs)
    return OPS["constant"], (), {"value": float(result)}
