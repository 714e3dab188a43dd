"""A graph with the same meaning and fewer nodes.

Arithmetic on constants is done once, at compile time. Adding zero, multiplying by one and reshaping to the same shape
disappear; equal nodes become one; factors that are constant along the axes of a sum are moved out of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from opsin.ir import FLOAT, Graph, Node, Op, Tensor, apply, binding
from opsin.ops import OPS

Make: TypeAlias = "Callable[[Op, tuple[Tensor, ...], dict[str, Any], str], Node]"

FOLDABLE_OPS = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "negate", "sqrt", "power", "log", "exp")
"""Operations that are computed at compile time if all operands are constant scalars."""

IDENTITY_ELEMENTS = {"add": (0.0, True), "multiply": (1.0, True), "subtract": (0.0, False), "divide": (1.0, False)}
"""The identity element of each operation, and whether it may be the first operand as well as the second."""


def simplify(graph: Graph, batch: int) -> Graph:
    """Return `graph`, bound to `batch`, without constant arithmetic, identities and repetitions; all nodes are new."""
    nodes: dict[Any, Node] = {}
    bind = binding(batch)

    def key(op: Op, operands: tuple[Tensor, ...], attrs: dict[str, Any]) -> Any:
        return op.name, operands, frozenset(attrs.items())

    def make(op: Op, operands: tuple[Tensor, ...], attrs: dict[str, Any], scope: str) -> Node:
        node_key = key(op, operands, attrs)
        if node_key not in nodes:
            nodes[node_key] = apply(op, operands, attrs, scope)
        return nodes[node_key]

    def change(free: Node, inputs: tuple[Tensor, ...]) -> Node | tuple[Tensor, ...]:
        node = bind(free, inputs)
        identity = _identity(node)
        if identity is not None:
            return (identity,)
        if node.op.name == "sum":
            return _factored(make, node, inputs[0])
        if node.op.name == "variance" and not by_channel(inputs[0], node.attrs["axes"]):
            return _variance(make, node, inputs[0])
        pooling = _masked_pooling(node)
        if pooling is not None:
            x, g = pooling.inputs
            maxima = make(OPS["max_pool2d"], (x,), pooling.attrs, pooling.scope).output
            mask = make(OPS["greater"], (maxima, inputs[0].node.inputs[1]), {}, node.scope).output
            masked_gradient = make(OPS["where"], (mask, g, inputs[2]), {}, node.scope).output
            return make(pooling.op, (x, masked_gradient), pooling.attrs, pooling.scope)
        constant_node = _folded(node)
        return (
            make(*constant_node, node.scope)
            if constant_node
            else nodes.setdefault(key(node.op, inputs, node.attrs), node)
        )

    return graph.rewrite(change)


def by_channel(x: Tensor, axes: tuple[int, ...]) -> bool:
    """Whether a reduction of `x`, rows or images, is over all axes but the channels, axis 1."""
    long_axes = [axis for axis, size in enumerate(x.shape) if size != 1 and axis != 1]
    return len(x.shape) in (2, 4) and 1 not in axes and [axis for axis in axes if x.shape[axis] != 1] == long_axes


def _factored(make: Make, node: Node, x: Tensor) -> Node:
    """Return the sum of a product, with the factors that are constant along the summed axes moved out of it.

    The gradients of batch normalization are sums that differ only in such factors: they become one sum.
    """
    axes = node.attrs["axes"]
    factors = _factors(x)
    outer_factors = [f for f in factors if _constant_along(f, len(x.shape), axes)]
    inner_factors = [f for f in factors if f not in outer_factors]
    negative = x.node.op.name == "negate"
    if not (outer_factors or negative) or not any(f.shape == x.shape for f in inner_factors):
        return make(node.op, (x,), node.attrs, node.scope)

    def product(of: list[Tensor]) -> Tensor:
        result = of[0]
        for factor in of[1:]:
            result = make(OPS["multiply"], (result, factor), {}, node.scope).output
        return result

    total = make(node.op, (product(inner_factors),), node.attrs, node.scope)
    if outer_factors:
        total = make(OPS["multiply"], (total.output, product(outer_factors)), {}, node.scope)
    return make(OPS["negate"], (total.output,), {}, node.scope) if _sign(x) < 0 else total


def _factors(x: Tensor) -> list[Tensor]:
    """Return the factors of a product of any depth, without signs."""
    name = x.node.op.name
    if name == "negate":
        return _factors(x.node.inputs[0])
    if name == "multiply":
        return [f for operand in x.node.inputs for f in _factors(operand)]
    return [x]


def _sign(x: Tensor) -> int:
    """Return -1 if the product of the factors has to be negated to be `x`, and otherwise 1."""
    name = x.node.op.name
    if name == "negate":
        return -_sign(x.node.inputs[0])
    if name == "multiply":
        return _sign(x.node.inputs[0]) * _sign(x.node.inputs[1])
    return 1


def _constant_along(factor: Tensor, rank: int, axes: tuple[int, ...]) -> bool:
    """Whether `factor`, broadcast to `rank` dimensions, is constant along `axes`."""
    leading_axes = rank - len(factor.shape)
    return all(axis < leading_axes or factor.shape[axis - leading_axes] == 1 for axis in axes)


def _variance(make: Make, node: Node, x: Tensor) -> Node:
    """Return a variance in terms of sums, for axes that no kernel reduces in one pass."""
    axes, scope = node.attrs["axes"], node.scope
    count = np.prod([x.shape[axis] for axis in axes], dtype=np.int64)
    share = make(OPS["constant"], (), {"value": float(1 / count)}, scope).output

    def mean(of: Tensor) -> Node:
        total = make(OPS["sum"], (of,), {"axes": axes}, scope).output
        return make(OPS["multiply"], (total, share), {}, scope)

    deviation = make(OPS["subtract"], (x, mean(x).output), {}, scope).output
    return mean(make(OPS["multiply"], (deviation, deviation), {}, scope).output)


def _masked_pooling(node: Node) -> Node | None:
    """Return the gradient of a max pooling if `node` masks it by the sign of the pooled tensor: ReLU's gradient.

    The gradient flows to the maxima alone. The mask may therefore be applied to the pooled gradient, by the sign of the
    maximum: to a quarter of the elements, or fewer.
    """
    inputs = node.inputs
    if node.op.name != "where" or constant_value(inputs[2]) != 0.0:
        return None
    mask, pooling = inputs[0].node, inputs[1].node
    if mask.op.name != "greater" or constant_value(mask.inputs[1]) != 0.0 or pooling.op.name != "max_pool2d_grad":
        return None
    return pooling if mask.inputs[0] is pooling.inputs[0] and mask.inputs[1].shape == () else None


def constant_value(tensor: Tensor) -> float | None:
    """Return the value of a constant, broadcast or not; None for anything else."""
    node = tensor.node
    while node.op.name in ("broadcast_to", "reshape"):
        node = node.inputs[0].node
    return node.attrs["value"] if node.op.name == "constant" else None


def _identity(node: Node) -> Tensor | None:
    """Return the input that `node` merely repeats, if it does."""
    name, inputs = node.op.name, node.inputs
    if name == "stop_gradient":
        return inputs[0]
    if name in ("reshape", "broadcast_to") and inputs[0].shape == node.output.shape:
        return inputs[0]
    if name == "transpose" and node.attrs["axes"] == tuple(range(len(node.output.shape))):
        return inputs[0]
    if name in IDENTITY_ELEMENTS:
        value, is_commutative = IDENTITY_ELEMENTS[name]
        for operand, other in ((0, 1), (1, 0)) if is_commutative else ((0, 1),):
            if constant_value(inputs[other]) == value and inputs[operand].type == node.output.type:
                return inputs[operand]
    return None


def _folded(node: Node) -> tuple[Any, tuple[Tensor, ...], dict[str, Any]] | None:
    if node.op.name not in FOLDABLE_OPS or node.output.shape != ():
        return None
    values = [constant_value(t) for t in node.inputs]
    if any(value is None for value in values) or node.output.dtype != FLOAT:
        return None
    result = node.op.evaluate(*(np.float64(value) for value in values), **node.attrs)
    return OPS["constant"], (), {"value": float(result)}
