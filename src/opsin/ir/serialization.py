"""A graph as plain data, and back: model files contain data instead of code.

The data consists of dictionaries, lists, strings and numbers only, so that it can be written as JSON:

    {"inputs": [tensor], "outputs": {name: tensor}, "updates": {name: tensor},
     "nodes": [{"op": name, "inputs": [tensor], "attrs": {...}, "scope": layer}]}

Tensors are numbered in the order of the nodes that produce them, operands first. The caller of `from_data` knows which
operation a name stands for: `find_op`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import isfinite
from typing import Any

from opsin.base.errors import GraphError, OpsinError
from opsin.ir.core import DTYPES, INPUT, VARIABLE, Node, Op, Tensor, Type, apply
from opsin.ir.graph import Graph
from opsin.ir.size import Dim, Size

MAX_NODES = 1_000_000
MAX_RANK = 16
MAX_ELEMENTS = 2**31
"""Limits far above any network; a file beyond them is damaged or malicious."""


def to_data(graph: Graph) -> dict[str, Any]:
    """Return the graph as plain data."""
    order = dict.fromkeys((*(t.node for t in graph.inputs), *graph.nodes))
    numbers: dict[Tensor, int] = {}
    for node in order:
        for tensor in node.outputs:
            numbers[tensor] = len(numbers)
    return {
        "inputs": [numbers[t] for t in graph.inputs],
        "outputs": {name: numbers[t] for name, t in graph.outputs.items()},
        "updates": {name: numbers[t] for name, t in graph.updates.items()},
        "nodes": [
            {
                "op": node.op.name,
                "inputs": [numbers[t] for t in node.inputs],
                "attrs": {key: _encode(value) for key, value in node.attrs.items()},
                "scope": node.scope,
            }
            for node in order
        ],
    }


def from_data(data: Any, find_op: Callable[[str], Op | None]) -> Graph:
    """Return the graph that `to_data` wrote, after checking its rules.

    `find_op` returns the operation of a name, or `None`. Raise `GraphError` if the data is not a valid graph.
    """
    try:
        return _graph(data, find_op).verify()
    except OpsinError as error:
        raise GraphError(error.reason).in_layer(error.layer) from None
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError) as error:
        raise GraphError(f"the data describes no graph ({type(error).__name__}: {error})") from None


def _graph(data: Any, find_op: Callable[[str], Op | None]) -> Graph:
    ops = {op.name: op for op in (INPUT, VARIABLE)}
    if len(data["nodes"]) > MAX_NODES:
        raise GraphError(f"{len(data['nodes']):,} nodes are more than any network has")
    tensors: list[Tensor] = []

    def tensor(number: Any) -> Tensor:
        if type(number) is not int or not 0 <= number < len(tensors):
            raise GraphError(f"a node uses tensor {number!r} before it is computed")
        return tensors[number]

    for record in data["nodes"]:
        op = ops.get(record["op"]) or find_op(record["op"])
        if op is None:
            raise GraphError(f"there is no operation called {record['op']!r}")
        if not isinstance(record["scope"], str):
            raise GraphError("a layer's name must be text")
        attrs = {str(key): _decode(value) for key, value in record["attrs"].items()}
        node = apply(op, tuple(tensor(number) for number in record["inputs"]), attrs, record["scope"])
        tensors.extend(_bounded(node))
    return Graph(
        tuple(tensor(number) for number in data["inputs"]),
        {str(name): tensor(number) for name, number in data["outputs"].items()},
        {str(name): tensor(number) for name, number in data["updates"].items()},
    )


def _bounded(node: Node) -> tuple[Tensor, ...]:
    """Return the outputs of the node. Raise `GraphError` if they are larger than any network needs."""
    for tensor in node.outputs:
        elements = Fraction(1)
        for dim in tensor.shape:
            elements *= dim.factor if isinstance(dim, Size) else dim
            if (dim.factor if isinstance(dim, Size) else dim) < 0:
                raise GraphError(f"{node} has a negative size")
        if tensor.rank > MAX_RANK or elements > MAX_ELEMENTS:
            raise GraphError(f"{node} is larger than any network needs")
    if node.op in (INPUT, VARIABLE) and not isinstance(node.attrs["name"], str):
        raise GraphError(f"{node} has no name")
    return node.outputs


def _encode(value: Any) -> Any:
    """Return plain data for an attribute: tuples become lists, other types that JSON lacks a small dictionary."""
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    if isinstance(value, Size):
        return {"size": [value.factor.numerator, value.factor.denominator, value.power]}
    if isinstance(value, Type):
        return {"shape": _encode(value.shape), "dtype": value.dtype}
    if isinstance(value, float) and not isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise GraphError(f"an attribute of type {type(value).__name__} cannot be written to a file")


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item) for item in value)
    if not isinstance(value, Mapping):
        return value
    if "size" in value:
        return _size(value)
    if "shape" in value:
        if value["dtype"] not in DTYPES:
            raise GraphError(f"there is no dtype {value['dtype']!r}")
        return Type(tuple(_dim(dim) for dim in value["shape"]), value["dtype"])
    return float(value["float"])


def _dim(value: Any) -> Dim:
    return _size(value) if isinstance(value, Mapping) else _whole(value)


def _size(value: Mapping[str, Any]) -> Size:
    numerator, denominator, power = (_whole(part) for part in value["size"])
    if abs(power) > MAX_RANK:
        raise GraphError(f"the batch to the power of {power} is no size")
    return Size(Fraction(numerator, denominator), power)


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise GraphError(f"a size must be a whole number, not {value!r}")
    return value
