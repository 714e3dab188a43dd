"""Cheap results computed again by each of their readers, instead of being stored.

Batch normalization subtracts the mean from its input, and so do both sweeps of its gradient. The input is in memory in
any case, because the statistics are computed from it. The difference need not be, so the forward pass writes one array
less for each normalization.
"""

from __future__ import annotations

from math import prod

from opsin.compiler.cost_model import EPYC_ZEN3, CostModel
from opsin.compiler.fusion import POINTWISE
from opsin.ir import Graph, Node, Tensor

CHEAP_OPS = ("add", "subtract", "multiply")


def rematerialize_cheap(graph: Graph, costs: CostModel = EPYC_ZEN3) -> Graph:
    """Return a bound `graph` in which every reader of a cheap result has a separate node for it, to be fused with.

    The nodes of `graph` itself are changed: no one else may hold it, and it must not be used afterwards.
    """
    roots = set(graph.roots)
    cheap_nodes = {
        node.output
        for node in graph.nodes
        if node.op.name in CHEAP_OPS and node.output not in roots and _is_recomputable(graph, node, costs)
    }

    if not cheap_nodes:
        return graph
    for node in graph.nodes:
        if not cheap_nodes.isdisjoint(node.inputs):
            node.inputs = tuple([_recomputed(t) if t in cheap_nodes else t for t in node.inputs])
    return Graph(graph.inputs, graph.outputs, graph.updates)


def _recomputed(tensor: Tensor) -> Tensor:
    node = tensor.node
    return node.on(node.inputs).output


def _is_recomputable(graph: Graph, node: Node, costs: CostModel) -> bool:
    """Whether a node with several readers, all pointwise, has one large operand, which is in memory for others."""
    readers = graph.users[node.output]
    if len(readers) < 2:
        return False
    shape = node.output.shape
    full_inputs = [t for t in node.inputs if t.shape == shape]
    if len(full_inputs) != 1 or prod(map(int, shape)) < costs.sweep_min_elements:  # type: ignore[arg-type]
        return False
    in_registers = all(reader.op.name in POINTWISE for reader in readers)
    return in_registers and any(reader.op.name not in POINTWISE for reader in graph.users[full_inputs[0]])
