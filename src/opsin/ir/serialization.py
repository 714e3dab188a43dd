"""A graph as plain data, and back: what a model file holds in place of code.

The data consists of dictionaries, lists, strings and numbers only, so that JSON can carry it:

    {"inputs": [tensor], "outputs": {name: tensor}, "updates": {name: tensor},
     "nodes": [{"op": name, "inputs": [tensor], "attrs": {...}, "scope": layer}]}

Tensors are counted in the order of the nodes that make them, operands first. Which operation a
name stands for is the caller's knowledge: `from_data` asks `find_op`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import isfinite
from typing import Any

from opsin.base.errors import GraphError, OpsinError
from opsin.ir.core import FLOAT, INPUT, INT, VARIABLE, Node, Op, Tensor, Type, apply
from opsin.ir.graph import Graph
from opsin.ir.size import Dim, Size

MAX_NODES = 1_000_000
MAX_RANK = 16
MAX_ELEMENTS = 2**31
"""Bounds that no network comes near; a file beyond them is damaged or means harm."""


def to_data(graph: Graph) -> dict[str, Any]:
    """The graph as plain data."""
    order = dict.fromkeys((*(t.node for t in graph.inputs), *graph.nodes))
    number: dict[Tensor, int] = {}
    for node in order:
        for tensor in node.outputs:
            number[tensor] = len(number)
    return {
        "inputs": [number[t] for t in graph.inputs],
        "outputs": {name: number[t] for name, t in graph.outputs.items()},
        "updates": {name: number[t] for name, t in graph.updates.items()},
        "nodes": [
            {
                "op": node.op.name,
                "inputs": [number[t] for t in node.inputs],
                "attrs": {key: _encode(value) for key, value in node.attrs.items()},
                "scope": node.scope,
            }
            for node in order
        ],
    }


def from_data(data: Any, find_op: Callable[[str], Op | None]) -> Graph:
    """The graph that `to_data` wrote, checked by its own rules.

    `find_op` gives the operation of a name, `None` where there is none. Raises `GraphError` for
    data that is no graph, whatever is wrong with it.
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
            raise GraphError(f"a node uses tensor {number!r} before it is made")
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
    """The node's outputs, once their shapes are known to be sane."""
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
    """Plain data for an attribute: tuples become lists, the rest that JSON lacks a small dictionary."""
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
        if value["dtype"] not in (FLOAT, INT):
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
