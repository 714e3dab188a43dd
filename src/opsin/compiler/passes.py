"""Which part of a training step a node belongs to: for measuring and printing, not for computing."""

from __future__ import annotations

from collections.abc import Collection

from opsin.ir import Graph, Node

FORWARD, AGAIN, INPUT_GRADIENT, WEIGHT_GRADIENT, UPDATE = (
    "forward", "recomputed", "input gradient", "weight gradient", "update",
)  # fmt: skip
DIRECTIONS = (FORWARD, AGAIN, INPUT_GRADIENT, WEIGHT_GRADIENT, UPDATE)
OPTIMIZER = "optimizer"
"""The scope of what turns gradients into new values."""


def directions(graph: Graph, again: Collection[Node] = ()) -> dict[Node, str]:
    """The direction of every node; `again` are those that compute for a second time.

    A gradient is of a layer's weights where nothing but this layer and the optimizer reads what comes of it. What
    depends on no output and no gradient, such as running statistics, is an update.
    """
    forward = set(graph.forward)
    leads: dict[Node, bool] = {}
    """Whether something of a gradient goes on to another layer."""
    found: dict[Node, str] = {}
    for node in reversed(graph.nodes):
        users = [user for t in node.outputs for user in graph.users[t] if user not in forward]
        scope = node.scope
        leads[node] = any(u.scope != OPTIMIZER and (u.scope != scope or leads[u]) for u in users)
        if node in forward:
            found[node] = FORWARD
        elif node in again:
            found[node] = AGAIN
        elif node.scope == OPTIMIZER or not users:
            found[node] = UPDATE
        elif leads[node]:
            found[node] = INPUT_GRADIENT
        else:
            found[node] = WEIGHT_GRADIENT
    return _settled(graph, found)


def _settled(graph: Graph, found: dict[Node, str]) -> dict[Node, str]:
    """`found`, where what only updates read outside the optimizer, such as running means, counts as an update, too."""
    for node in reversed(graph.nodes):
        if found[node] == WEIGHT_GRADIENT and node.scope:
            users = [user for t in node.outputs for user in graph.users[t]]
            if users and all(found[user] == UPDATE and user.scope == node.scope for user in users):
                found[node] = UPDATE
    return found
