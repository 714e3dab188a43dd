"""The nodes that some values depend on, operands first."""

from __future__ import annotations

from collections.abc import Sequence

from opsin.base.errors import ModelError
from opsin.interop.onnx.messages import GraphRecord, NodeRecord
from opsin.interop.onnx.wire import shown


def producers(graph: GraphRecord) -> dict[str, NodeRecord]:
    """The node that makes each value. Raises `ModelError` where two do."""
    made: dict[str, NodeRecord] = {}
    given = {value.name for value in graph.inputs} | graph.initializers.keys()
    for node in graph.nodes:
        if not any(node.outputs):
            raise ModelError(f"has a node {shown(node.name)} without a result")
        for name in filter(None, node.outputs):
            if made.setdefault(name, node) is not node or name in given:
                raise ModelError(f"makes the value {shown(name)} twice; export it anew")
    return made


def needed(made: dict[str, NodeRecord], given: set[str], outputs: Sequence[str]) -> list[NodeRecord]:
    """The nodes behind `outputs`, in an order in which they can run; `given` is known from the start.

    Raises `ModelError` where a value comes from nowhere, or depends on itself.
    """
    order: list[NodeRecord] = []
    done: dict[int, bool] = {}  # False: its operands are being looked for
    stack = [(name, False) for name in reversed(outputs)]
    while stack:
        name, ready = stack.pop()
        if name in given or not name:
            continue
        if name not in made:
            raise ModelError(f"uses the value {shown(name)}, which nothing in it makes")
        node = made[name]
        if ready:
            if not done[id(node)]:
                order.append(node)
            done[id(node)] = True
        elif id(node) not in done:
            done[id(node)] = False
            stack.append((name, True))
            stack.extend((operand, False) for operand in reversed(node.inputs))
        elif not done[id(node)]:
            raise ModelError(f"goes in a circle: the value {shown(name)} depends on itself")
    return order
