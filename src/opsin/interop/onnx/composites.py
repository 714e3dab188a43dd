"""Layers of several operations that are one operator in ONNX.

A composite is recognised by its definition: its operands are found, the function of `opsin.ops` is applied to them, and
the result must consist of the same operations. Reading the file applies the same function again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from opsin import ops
from opsin.base.errors import OpsinError
from opsin.interop.onnx.encoding import Attribute
from opsin.interop.onnx.windows import sliding_attributes, transposed_attributes
from opsin.ir import Node, Tensor


@dataclass(frozen=True, eq=False)
class Operator:
    """An ONNX operator on tensors. `result` is what `opsin.ops` makes of them."""

    op: str
    operands: tuple[Tensor, ...]
    result: Tensor
    attributes: dict[str, Attribute] = field(default_factory=dict)


Finder = Callable[[Node], "Operator | None"]

FINDERS: defaultdict[str, list[Finder]] = defaultdict(list)
"""Functions that find a composite, by the operation of its last node; those of more nodes come first."""


def finder(*last_ops: str) -> Callable[[Finder], Finder]:
    """Register a function that finds a composite whose last node has one of these operations."""

    def register(function: Finder) -> Finder:
        for op in last_ops:
            FINDERS[op].append(function)
        return function

    return register


def find_composite(node: Node) -> tuple[Operator, tuple[Node, ...]] | None:
    """Return the ONNX operator that ends with `node`, and the nodes that it replaces; None if there is none."""
    for find in FINDERS.get(node.op.name, ()):
        try:
            operator = find(node)
        except (IndexError, KeyError, ValueError, TypeError, OpsinError):  # no operands where the composite has them
            continue
        if operator is not None:
            inner = list(_same_nodes(operator.result, node.output, operator.operands))
            if None not in inner:
                return operator, tuple(each for each in inner if each is not None)
    return None


def _same_nodes(a: Tensor, b: Tensor, operands: tuple[Tensor, ...]) -> Iterator[Node | None]:
    """Yield the nodes of `b` above `operands`, and None where `a` differs."""
    if a is b:
        return
    if b in operands or a.node.op is not b.node.op or a.node.attrs != b.node.attrs:
        yield None
        return
    yield b.node
    for left, right in zip(a.node.inputs, b.node.inputs, strict=True):
        yield from _same_nodes(left, right, operands)


def _number(tensor: Tensor) -> float:
    """Return the value of a constant; raise `KeyError` for anything else."""
    return float(tensor.node.attrs["value"])


@finder("add")
def _batch_norm(node: Node) -> Operator:
    product, shift = (operand.node for operand in node.inputs)
    x, scale = product.inputs[0], product.inputs[1].node.inputs[0]
    beta, mean_term = shift.inputs[0].node.inputs
    gamma, reciprocal = scale.node.inputs
    variance, eps = reciprocal.node.inputs[1].node.inputs[0].node.inputs
    operands = x, gamma, beta, mean_term.node.inputs[0], variance
    result = ops.batch_norm(*operands, _number(eps))
    return Operator("BatchNormalization", operands, result, {"epsilon": _number(eps)})


@finder("add")
def _conv_bias(node: Node) -> Operator | None:
    conv, bias = node.inputs[0].node, node.inputs[1].node.inputs[0]
    if conv.op.name not in ("conv2d", "conv_transpose2d") or bias.shape != node.output.shape[1:2]:
        return None
    result = ops.add(conv.output, ops.reshape(bias, (*bias.shape, 1, 1)))
    if conv.op.name == "conv2d":
        return Operator("Conv", (*conv.inputs, bias), result, sliding_attributes(conv, conv.inputs[1].shape))
    return Operator("ConvTranspose", (*conv.inputs, bias), result, transposed_attributes(conv))


@finder("add")
def _gemm_bias(node: Node) -> Operator | None:
    product, bias = node.inputs[0].node, node.inputs[1]
    if product.op.name != "matmul" or bias.shape != node.output.shape[1:]:
        return None
    return Operator("Gemm", (*product.inputs, bias), ops.add(product.output, bias), transposition(product))


def transposition(product: Node) -> dict[str, Attribute]:
    """Return the attributes of Gemm for a matrix product; those that are 0 are omitted."""
    return {f"trans{side}": 1 for side in "AB" if product.attrs[f"transpose_{side.lower()}"]}


@finder("multiply")
def _hard_swish(node: Node) -> Operator:
    x = node.inputs[0]
    return Operator("HardSwish", (x,), ops.hard_swish(x))


@finder("multiply")
def _hard_sigmoid(node: Node) -> Operator:
    x = node.inputs[0].node.inputs[0].node.inputs[0]
    return Operator("HardSigmoid", (x,), ops.hard_sigmoid(x), {"alpha": 1 / 6, "beta": 0.5})


@finder("multiply")
def _leaky_relu(node: Node) -> Operator:
    x, slope = node.inputs[0], _number(node.inputs[1].node.inputs[2])
    return Operator("LeakyRelu", (x,), ops.leaky_relu(x, slope), {"alpha": slope})


@finder("multiply")
def _global_average_pool(node: Node) -> Operator:
    x = node.inputs[0].node.inputs[0]
    return Operator("GlobalAveragePool", (x,), ops.global_avg_pool2d(x))


@finder("multiply")
def _local_response_norm(node: Node) -> Operator | None:
    x, power = node.inputs[0], node.inputs[1].node
    window, k = power.inputs[0].node.inputs
    total, share = window.node.inputs
    first = total
    while first.node.op.name == "add":
        first = first.node.inputs[0]
    padding = first.node.inputs[0].node.attrs
    size, beta = padding["low"][1] + padding["high"][1] + 1, -float(power.attrs["exponent"])
    if size % 2 == 0:  # ONNX adds the extra channel on the other side
        return None
    result = ops.local_response_norm(x, size, _number(share) * size, beta, _number(k))
    return Operator(
        "LRN", (x,), result, {"size": size, "alpha": _number(share) * size, "beta": beta, "bias": _number(k)}
    )


@finder("divide")
def _softmax(node: Node) -> Operator:
    x = node.inputs[0].node.inputs[0].node.inputs[0]
    (axis,) = node.inputs[1].node.attrs["axes"]
    return Operator("Softmax", (x,), ops.softmax(x, axis), {"axis": axis})


@finder("subtract")
def _log_softmax(node: Node) -> Operator:
    x = node.inputs[0].node.inputs[0]
    (axis,) = node.inputs[1].node.inputs[0].node.attrs["axes"]
    return Operator("LogSoftmax", (x,), ops.log_softmax(x, axis), {"axis": axis})
