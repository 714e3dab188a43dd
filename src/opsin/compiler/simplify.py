"""A graph with the same meaning and fewer nodes.

Arithmetic on constants is done here once; adding zero, multiplying by one and reshaping to the same
shape go away; equal nodes become one; factors that do not change along the axes of a sum are taken out of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from opsin.ir import INT, Graph, Node, Op, Tensor, apply, binding
from opsin.ops import OPS

Make: TypeAlias = "Callable[[Op, tuple[Tensor, ...], dict[str, Any], str], Node]"

FOLDED = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "negate", "sqrt", "power", "log", "exp")

NEUTRAL = {"add": (0.0, True), "multiply": (1.0, True), "subtract": (0.0, False), "divide": (1.0, False)}
"""Numbers that change nothing, and whether they may come first as well as second."""


def simplify(graph: Graph, batch: int) -> Graph:
    """`graph`, bound to `batch`, without constant arithmetic, identities and repetitions; its nodes are all new."""
    known: dict[Any, Node] = {}
    bound = binding(batch)

    def key(op: Op, operands: tuple[Tensor, ...], attrs: dict[str, Any]) -> Any:
        return op.name, operands, frozenset(attrs.items())

    def make(op: Op, operands: tuple[Tensor, ...], attrs: dict[str, Any], scope: str) -> Node:
        this = key(op, operands, attrs)
        if this not in known:
            known[this] = apply(op, operands, attrs, scope)
        return known[this]

    def change(free: Node, inputs: tuple[Tensor, ...]) -> Node | tuple[Tensor, ...]:
        node = bound(free, inputs)
        identity = _identity(node)
        if identity is not None:
            return (identity,)
        if node.op.name == "sum":
            return _factored(make, node, inputs[0])
        if node.op.name == "variance" and not by_channel(inputs[0], node.attrs["axes"]):
            return _variance(make, node, inputs[0])
        pooled = _masked_pooling(node)
        if pooled is not None:
            x, g = pooled.inputs
            maxima = make(OPS["max_pool2d"], (x,), pooled.attrs, pooled.scope).output
            mask = make(OPS["greater"], (maxima, inputs[0].node.inputs[1]), {}, node.scope).output
            masked = make(OPS["where"], (mask, g, inputs[2]), {}, node.scope).output
            return make(pooled.op, (x, masked), pooled.attrs, pooled.scope)
        folded = _folded(node)
        return make(*folded, node.scope) if folded else known.setdefault(key(node.op, inputs, node.attrs), node)

    return graph.rewrite(change)


def by_channel(x: Tensor, axes: tuple[int, ...]) -> bool:
    """Whether a reduction of `x`, rows or images, leaves its channels, axis 1, alone."""
    long = [axis for axis, size in enumerate(x.shape) if size != 1 and axis != 1]
    return len(x.shape) in (2, 4) and 1 not in axes and [axis for axis in axes if x.shape[axis] != 1] == long


def _factored(make: Make, node: Node, x: Tensor) -> Node:
    """The sum of a product, with the factors that do not change along the summed axes taken out of it.

    The gradients of a batch normalisation's parts are sums that differ in nothing else: then they become one.
    """
    axes = node.attrs["axes"]
    factors = _factors(x)
    outside = [f for f in factors if _constant_along(f, len(x.shape), axes)]
    inside = [f for f in factors if f not in outside]
    negative = x.node.op.name == "negate"
    if not (outside or negative) or not any(f.shape == x.shape for f in inside):
        return make(node.op, (x,), node.attrs, node.scope)

    def product(of: list[Tensor]) -> Tensor:
        result = of[0]
        for factor in of[1:]:
            result = make(OPS["multiply"], (result, factor), {}, node.scope).output
        return result

    total = make(node.op, (product(inside),), node.attrs, node.scope)
    if outside:
        total = make(OPS["multiply"], (total.output, product(outside)), {}, node.scope)
    return make(OPS["negate"], (total.output,), {}, node.scope) if _sign(x) < 0 else total


def _factors(x: Tensor) -> list[Tensor]:
    """The factors of a product of any depth, signs left out."""
    name = x.node.op.name
    if name == "negate":
        return _factors(x.node.inputs[0])
    if name == "multiply":
        return [f for operand in x.node.inputs for f in _factors(operand)]
    return [x]


def _sign(x: Tensor) -> int:
    """-1 where the factors' product has to be negated to be `x`."""
    name = x.node.op.name
    if name == "negate":
        return -_sign(x.node.inputs[0])
    if name == "multiply":
        return _sign(x.node.inputs[0]) * _sign(x.node.inputs[1])
    return 1


def _constant_along(factor: Tensor, rank: int, axes: tuple[int, ...]) -> bool:
    """Whether `factor`, broadcast to `rank` dimensions, is the same all along `axes`."""
    lead = rank - len(factor.shape)
    return all(axis < lead or factor.shape[axis - lead] == 1 for axis in axes)


def _variance(make: Make, node: Node, x: Tensor) -> Node:
    """A variance as its parts, for axes that no kernel takes in one pass."""
    axes, scope = node.attrs["axes"], node.scope
    count = np.prod([x.shape[axis] for axis in axes], dtype=np.int64)
    share = make(OPS["constant"], (), {"value": float(1 / count)}, scope).output

    def mean(of: Tensor) -> Node:
        total = make(OPS["sum"], (of,), {"axes": axes}, scope).output
        return make(OPS["multiply"], (total, share), {}, scope)

    centred = make(OPS["subtract"], (x, mean(x).output), {}, scope).output
    return mean(make(OPS["multiply"], (centred, centred), {}, scope).output)


def _masked_pooling(node: Node) -> Node | None:
    """The gradient of a max pooling, if `node` only keeps it where the pooled tensor is above zero: ReLU's gradient.

    It goes to the maxima alone, so that the mask may as well be applied to the pooled gradient, where the
    maximum is above zero: a quarter of the elements, or less.
    """
    inputs = node.inputs
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


def _identity(node: Node) -> Tensor | None:
    """The input that `node` merely repeats, if it does."""
    name, inputs = node.op.name, node.inputs
    if name == "stop_gradient":
        return inputs[0]
    if name in ("reshape", "broadcast_to") and inputs[0].shape == node.output.shape:
        return inputs[0]
    if name == "transpose" and node.attrs["axes"] == tuple(range(len(node.output.shape))):
        return inputs[0]
    if name in NEUTRAL:
        value, either = NEUTRAL[name]
        for kept, other in ((0, 1), (1, 0)) if either else ((0, 1),):
            if constant_value(inputs[other]) == value and inputs[kept].type == node.output.type:
                return inputs[kept]
    return None


def _folded(node: Node) -> tuple[Any, tuple[Tensor, ...], dict[str, Any]] | None:
    if node.op.name not in FOLDED or node.output.shape != ():
        return None
    values = [constant_value(t) for t in node.inputs]
    if any(value is None for value in values) or node.output.dtype == INT:
        return None
    result = node.op.evaluate(*(np.float64(value) for value in values), **node.attrs)
    return OPS["constant"], (), {"value": float(result)}
