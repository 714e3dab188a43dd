"""The pass of a training step that each node belongs to: for measuring and printing, not for computing."""

from __future__ import annotations

from collections.abc import Collection

from opsin.ir import Graph, Node

FPROP, RECOMPUTE, DGRAD, WGRAD, UPDATE = "forward", "recomputed", "input gradient", "weight gradient", "update"
PASSES = (FPROP, RECOMPUTE, DGRAD, WGRAD, UPDATE)
"""The passes in the order of a step, by the names that people read; the gradients are called as in PyTorch."""
OPTIMIZER = "optimizer"
"""The scope of the nodes that turn gradients into new values."""


def assign_passes(graph: Graph, recomputed: Collection[Node] = ()) -> dict[Node, str]:
    """Return the pass of every node; `recomputed` are those that compute for a second time.

    A gradient counts as a weight gradient if only its own layer and the optimizer read what is computed from it. A node
    that no output and no gradient depends on, such as running statistics, is part of the update.
    """
    forward = set(graph.forward)
    reaches_other_layer: dict[Node, bool] = {}
    """Whether another layer reads a gradient or what its own layer computes from it."""
    passes: dict[Node, str] = {}
    for node in reversed(graph.nodes):
        users = [user for t in node.outputs for user in graph.users[t] if user not in forward]
        reaches_other_layer[node] = any(
            u.scope != OPTIMIZER and (u.scope != node.scope or reaches_other_layer[u]) for u in users
        )
        if node in forward:
            passes[node] = FPROP
        elif node in recomputed:
            passes[node] = RECOMPUTE
        elif node.scope == OPTIMIZER or not users:
            passes[node] = UPDATE
        elif reaches_other_layer[node]:
            passes[node] = DGRAD
        else:
            passes[node] = WGRAD
    return _with_statistics(graph, passes)


def _with_statistics(graph: Graph, passes: dict[Node, str]) -> dict[Node, str]:
    """Return `passes` with nodes read by updates outside the optimizer alone, such as running means, as updates."""
    for node in reversed(graph.nodes):
        if passes[node] == WGRAD and node.scope:
            users = [user for t in node.outputs for user in graph.users[t]]
            if users and all(passes[user] == UPDATE and user.scope == node.scope for user in users):
                passes[node] = UPDATE
    return passes
