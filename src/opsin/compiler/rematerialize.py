"""Cheap results computed again wherever they are read, instead of being stored for that.

Batch normalisation subtracts the mean from what its statistics were taken of, and so do both sweeps of its gradient.
What is subtracted from lies in memory anyway, as statistics are taken of numbers that are there: then the difference
need not, and the forward pass writes one array less for each normalisation.
"""

from __future__ import annotations

from math import prod

from opsin.compiler.fusion import ENOUGH, POINTWISE
from opsin.ir import Graph, Node, Tensor

CHEAP = ("add", "subtract", "multiply")


def rematerialize_cheap(graph: Graph) -> Graph:
    """A bound `graph` in which every reader of a cheap result has a node of its own for it, to be fused with.

    The readers of `graph` itself are changed: it must be nobody else's, and is not to be used any more.
    """
    roots = set(graph.roots)
    chosen = {
        node.output
        for node in graph.nodes
        if node.op.name in CHEAP and node.output not in roots and _is_at_hand(graph, node)
    }

    if not chosen:
        return graph
    for node in graph.nodes:
        if not chosen.isdisjoint(node.inputs):
            node.inputs = tuple([_again(t) if t in chosen else t for t in node.inputs])
    return Graph(graph.inputs, graph.outputs, graph.updates)


def _again(tensor: Tensor) -> Tensor:
    node = tensor.node
    return node.on(node.inputs).output


def _is_at_hand(graph: Graph, node: Node) -> bool:
    """Whether a node with several readers, all pointwise, needs but one large operand, which others have in memory."""
    readers = graph.users[node.output]
    if len(readers) < 2:
        return False
    shape = node.output.shape
    large = [t for t in node.inputs if t.shape == shape]
    if len(large) != 1 or prod(map(int, shape)) < ENOUGH:  # type: ignore[arg-type]
        return False
    in_registers = all(reader.op.name in POINTWISE for reader in readers)
    return in_registers and any(reader.op.name not in POINTWISE for reader in graph.users[large[0]])
