"""Topological order of the nodes that the outputs of a network depend on."""

from __future__ import annotations

from collections.abc import Sequence

from opsin.base.errors import ModelError
from opsin.interop.onnx.messages import GraphRecord, NodeRecord
from opsin.interop.onnx.wire import quote_name


def find_producers(graph: GraphRecord) -> dict[str, NodeRecord]:
    """Return the node that computes each value; raise `ModelError` if several nodes compute one."""
    producer: dict[str, NodeRecord] = {}
    inputs = {value.name for value in graph.inputs} | graph.initializers.keys()
    for node in graph.nodes:
        if not any(node.outputs):
            raise ModelError(f"has a node {quote_name(node.name)} without an output")
        for name in filter(None, node.outputs):
            if producer.setdefault(name, node) is not node or name in inputs:
                raise ModelError(f"computes the value {quote_name(name)} twice; export it again")
    return producer


def topological_order(producer: dict[str, NodeRecord], inputs: set[str], outputs: Sequence[str]) -> list[NodeRecord]:
    """Return the nodes that `outputs` depend on; each node follows the nodes that compute its operands.

    Raise `ModelError` if no node computes a value, or if a value depends on itself.
    """
    order: list[NodeRecord] = []
    visited: dict[int, bool] = {}  # False while the operands of the node are on the stack.
    stack = [(name, False) for name in reversed(outputs)]
    while stack:
        name, has_operands = stack.pop()
        if name in inputs or not name:
            continue
        if name not in producer:
            raise ModelError(f"uses the value {quote_name(name)}, which no node computes")
        node = producer[name]
        if has_operands:
            if not visited[id(node)]:
                order.append(node)
            visited[id(node)] = True
        elif id(node) not in visited:
            visited[id(node)] = False
            stack.append((name, True))
            stack.extend((operand, False) for operand in reversed(node.inputs))
        elif not visited[id(node)]:
            raise ModelError(f"has a cycle: the value {quote_name(name)} depends on itself")
    return order
