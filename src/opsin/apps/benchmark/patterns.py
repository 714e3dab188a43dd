"""Functions of several operations that other libraries have as one layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opsin.ir import VARIABLE, Node, Tensor, product
from opsin.ops.reduce import inverse

Users = Mapping[Tensor, Sequence[Node]]
"""The nodes that read each tensor."""


@dataclass(frozen=True)
class Pattern:
    """Nodes that compute the layer `op` of `source`. The last one has the result; only `nodes` read the others'."""

    op: str
    nodes: list[Node]
    source: Tensor
    attrs: dict[str, Any] = field(default_factory=dict)


def find_pattern(node: Node, users: Users) -> Pattern | None:
    """Return the pattern that begins with `node`, if there is one."""
    finders = (_mean, _hard_sigmoid, _normalize, _layer_norm)
    return next((pattern for find in finders if (pattern := find(node, users))), None)


def constants(node: Node) -> list[float]:
    """Return the values of the operands that are constant numbers."""
    nodes = [t.node for t in node.inputs if t.node.op.name == "constant"]
    return [constant.attrs["value"] for constant in nodes if isinstance(constant.attrs["value"], float)]


def parameter(tensor: Tensor) -> str | None:
    """Return the name of the variable that `tensor` is or reshapes; None if it is anything else."""
    node = tensor.node
    while node.op.name == "reshape":
        node = node.inputs[0].node
    return str(node.attrs["name"]) if node.op is VARIABLE else None


def _mean(node: Node, users: Users) -> Pattern | None:
    """Match the mean of each channel."""
    nodes = _chain(node, users, "sum", "multiply")
    source = node.inputs[0]
    if not nodes or source.rank != 4 or node.attrs["axes"] != (2, 3):
        return None
    is_mean = constants(nodes[-1]) == [inverse(product(source.shape[2:]))]
    return Pattern("global_avg_pool2d", nodes, source) if is_mean else None


def _hard_sigmoid(node: Node, users: Users) -> Pattern | None:
    """Match relu6(x + 3) / 6."""
    nodes = _chain(node, users, "add", "relu6", "multiply")
    if not nodes or constants(node) != [3.0] or constants(nodes[-1]) != [1.0 / 6.0]:
        return None
    return Pattern("hard_sigmoid", nodes, _variable_operand(node))


def _normalize(node: Node, users: Users) -> Pattern | None:
    """Match x / max(‖x‖, eps), with the norm over the channels of each place."""
    nodes = _chain(node, users, "multiply", "sum", "sqrt", "maximum", "divide")
    source = node.inputs[0]
    if not nodes or node.inputs != (source, source) or nodes[1].attrs["axes"] != (1,):
        return None
    if nodes[-1].inputs != (source, nodes[-2].output) or len(limits := constants(nodes[-2])) != 1:
        return None
    return Pattern("normalize", nodes, source, {"eps": limits[0]})


def _layer_norm(node: Node, users: Users) -> Pattern | None:
    """Match (x - mean) / sqrt(variance + eps), over all values of an image."""
    source, axes = node.inputs[0], node.attrs.get("axes")
    means = _chain(node, users, "sum", "multiply", "subtract")
    if not means or source.rank != 4 or axes != (1, 2, 3) or means[-1].inputs != (source, means[1].output):
        return None
    centred, share = means[-1].output, [inverse(product(source.shape[1:]))]
    squares = [reader for reader in users[centred] if reader.inputs == (centred, centred)]
    ops = ("multiply", "sum", "multiply", "add", "sqrt", "divide", "multiply")
    rest = _chain(squares[0], users, *ops) if squares else []
    if not rest or rest[-1].inputs[0] is not centred or set(users[centred]) != {rest[0], rest[-1]}:
        return None
    if rest[1].attrs["axes"] != axes or constants(means[1]) != share or constants(rest[2]) != share:
        return None
    (eps,), numerator = constants(rest[3]), constants(rest[5])
    return Pattern("layer_norm", [*means, *rest], source, {"eps": eps}) if numerator == [1.0] else None


def _chain(node: Node, users: Users, *ops: str) -> list[Node]:
    """Return `node` and those after it if their operations are `ops`, each the only user of the one before, or none."""
    nodes = [node]
    for op in ops[1:]:
        readers = users[nodes[-1].output] if len(nodes[-1].outputs) == 1 else []
        if len(readers) != 1 or readers[0].op.name != op:
            return []
        nodes.append(readers[0])
    return nodes if node.op.name == ops[0] else []


def _variable_operand(node: Node) -> Tensor:
    return next(t for t in node.inputs if t.node.op.name != "constant")
