"""The nodes that the outputs of a network depend on, operands first."""

from __future__ import annotations

from collections.abc import Sequence

from opsin.base.errors import ModelError
from opsin.interop.onnx.messages import GraphRecord, NodeRecord
from opsin.interop.onnx.wire import shown


def producers(graph: GraphRecord) -> dict[str, NodeRecord]:
    """Return the node that computes each value; raise `ModelError` if two do."""
    producer: dict[str, NodeRecord] = {}
    inputs = {value.name for value in graph.inputs} | graph.initializers.keys()
    for node in graph.nodes:
        if not any(node.outputs):
            raise ModelError(f"has a node {shown(node.name)} without a result")
        for name in filter(None, node.outputs):
            if producer.setdefault(name, node) is not node or name in inputs:
                raise ModelError(f"computes the value {shown(name)} twice; export it again")
    return producer


def needed(producer: dict[str, NodeRecord], inputs: set[str], outputs: Sequence[str]) -> list[NodeRecord]:
    """Return the nodes that `outputs` depend on, in an order in which they can run after `inputs`.

    Raise `ModelError` if no node computes a value, or if it depends on itself.
    """
    order: list[NodeRecord] = []
    done: dict[int, bool] = {}  # False while its operands are on the stack.
    stack = [(name, False) for name in reversed(outputs)]
    while stack:
        name, ready = stack.pop()
        if name in inputs or not name:
            continue
        if name not in producer:
            raise ModelError(f"uses the value {shown(name)}, which no node computes")
        node = producer[name]
        if ready:
            if not done[id(node)]:
                order.append(node)
            done[id(node)] = True
        elif id(node) not in done:
            done[id(node)] = False
            stack.append((name, True))
            stack.extend((operand, False) for operand in reversed(node.inputs))
        elif not done[id(node)]:
            raise ModelError(f"has a cycle: the value {shown(name)} depends on itself")
    return order
