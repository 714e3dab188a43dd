"""Pointwise fusion: which nodes are computed together, in registers.

A `FusionGroup` is a set of pointwise nodes of one shape that one kernel computes in a single sweep; its
anchor, if it has one, is the convolution or matrix product whose sums it finishes before they are
stored. Sums by channel of what a cluster computes, or reads, are taken in the same sweep. Nodes join
the cluster of an operand where no path leads out of the cluster and back into it; cheap derivatives
that only the backward pass reads move there, so that their operands are kept and not they.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import cast

from opsin.compiler.simplify import by_channel
from opsin.ir import FLOAT, INPUT, VARIABLE, Graph, Node, Shape, Tensor

POINTWISE = frozenset(
    "add subtract multiply divide maximum minimum greater equal where negate exp log sqrt tanh sigmoid erf absolute "
    "sign relu relu6 power cast one_hot bernoulli".split()
)
ANCHORS = frozenset(("conv2d", "conv_transpose2d", "matmul"))
"""Operations whose kernels take an epilogue."""

ENOUGH, CHANNELS = 64 * 1024, 16
"""Numbers that a sum by channel should add up to be worth a sweep of its own, and channels it should have."""


def sweeps(node: Node) -> bool:
    """Whether `node`, a sum, leaves only the channels of something large."""
    (x,) = node.inputs
    shape = cast("tuple[int, ...]", x.shape)  # of a bound graph
    return by_channel(x, node.attrs["axes"]) and math.prod(shape) >= ENOUGH and shape[1] >= CHANNELS


@dataclass(eq=False)
class FusionGroup:
    """Nodes computed together, in order; `anchor` comes before them if there is one, `sums` by channel after them."""

    nodes: list[Node] = field(default_factory=list)
    anchor: Node | None = None
    sums: list[Node] = field(default_factory=list)

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(([self.anchor] if self.anchor else []) + self.nodes + self.sums)

    @property
    def shape(self) -> Shape:
        """Of what is computed, before it is summed."""
        return self.nodes[0].output.shape if self.nodes else self.sums[0].inputs[0].shape


class FusionGroups:
    """The partition of a graph, as it grows."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.position = {node: i for i, node in enumerate(graph.nodes)}
        self.of: dict[Node, FusionGroup] = {}
        self.ancestors: dict[Node, int] = {}
        for node, place in self.position.items():
            mask = 1 << place
            for operand in node.inputs:
                mask |= self.ancestors[operand.node]
            self.ancestors[node] = mask
        self.roots = set(graph.roots)

    def is_convex(self, nodes: list[Node], more: Sequence[Node] = ()) -> bool:
        """Whether no path leaves the set of `nodes` and `more` and comes back into `nodes`."""
        operands = {t.node for node in nodes for t in node.inputs}.difference(nodes, more)
        places = [self.position[node] for node in (*nodes, *more)]
        first = min(places)
        late = [node for node in operands if self.position[node] > first]
        mask = reduce(or_, [1 << place for place in places]) if late else 0
        return not any(self.ancestors[node] & mask for node in late)

    def follows(self, node: Node, cluster: FusionGroup) -> bool:
        """Whether no path leaves the nodes of `cluster`, all of them before `node`, and comes back into `node`."""
        first = self.position[cluster.nodes[0]]
        outside = [t.node for t in node.inputs if self.of.get(t.node) is not cluster]
        late = [operand for operand in outside if self.position[operand] > first]
        mask = reduce(or_, [1 << self.position[member] for member in cluster.nodes]) if late else 0
        return not any(self.ancestors[operand] & mask for operand in late)

    def join(self, node: Node) -> None:
        """Puts a pointwise node into the clusters of its operands, merged, or into one of its own."""
        shape = node.output.shape
        near = {c for t in node.inputs if t.shape == shape and (c := self.of.get(t.node))}
        mine: FusionGroup | None = None
        for other in sorted(near, key=lambda c: -self.position[c.nodes[-1]]):
            if mine is None:
                if self.follows(node, other):
                    other.nodes.append(node)
                    mine = other
            elif self.is_convex(mine.nodes + other.nodes):
                mine.nodes = sorted(mine.nodes + other.nodes, key=self.position.__getitem__)
                self.of.update(dict.fromkeys(other.nodes, mine))
        self.of[node] = mine or FusionGroup([node])

    def is_kept(self, tensor: Tensor) -> bool:
        """Whether a tensor lies in memory whatever becomes of the node that asks."""
        node = tensor.node
        cluster = self.of.get(node)
        if cluster is None or tensor in self.roots:
            return True
        return any(self.of.get(user) is not cluster for user in self.graph.users[tensor])

    def sink(self, node: Node) -> None:
        """Moves `node` to the one cluster that reads it, if nothing else has to be kept for that."""
        tensor, home = node.output, self.of[node]
        users = self.graph.users[tensor]
        targets = {self.of.get(user) for user in users}
        if tensor in self.roots or len(targets) != 1 or targets == {home} or None in targets:
            return
        (target,) = targets
        assert target is not None
        moved = self._movable(node, home, {node})
        if moved is None or target.nodes[0].output.shape != tensor.shape:
            return
        home.nodes = [n for n in home.nodes if n not in moved]
        target.nodes = sorted(target.nodes + list(moved), key=self.position.__getitem__)
        for member in moved:
            self.of[member] = target

    def _movable(self, node: Node, home: FusionGroup, moved: set[Node]) -> set[Node] | None:
        """`node` with the operands that only it needs, or None where some operand would have to be kept for it."""
        for operand in node.inputs:
            if operand.node not in self.of or self.of[operand.node] is not home or operand.node in moved:
                continue
            outside = [user for user in self.graph.users[operand] if user not in moved]
            if any(self.of.get(user) is not home for user in outside) or operand in self.roots:
                continue
            if outside:
                return None
            moved.add(operand.node)
            if self._movable(operand.node, home, moved) is None:
                return None
        return moved

    def anchor(self, node: Node) -> None:
        """Makes `node` the anchor of the cluster that finishes its sums, where one does."""
        tensor = node.output
        readers = {self.of.get(user) for user in self.graph.users[tensor]} - {None}
        for cluster in sorted((c for c in readers if c and c.nodes), key=lambda c: self.position[c.nodes[0]]):
            fits = cluster.anchor is None and cluster.nodes[0].output.shape == tensor.shape and _plain(cluster)
            if fits and self.is_convex(cluster.nodes, [node, *cluster.sums]) and self._without_sums(cluster):
                cluster.anchor = node
                self.of[node] = cluster
                return

    def _without_sums(self, cluster: FusionGroup) -> bool:
        """Gives a cluster's sums, with what only they need, to one of their own, if that stores nothing more."""
        tail = set(cluster.sums)
        for node in reversed(cluster.nodes):
            if node.output not in self.roots and tail.issuperset(self.graph.users[node.output]):
                tail.add(node)
        rest = [node for node in cluster.nodes if node not in tail]
        read = {t for node in tail for t in node.inputs if t.node in rest}
        if not rest or any(not self.is_kept(t) for t in read):
            return False
        if cluster.sums:
            own = FusionGroup([node for node in cluster.nodes if node in tail], sums=cluster.sums)
            cluster.nodes, cluster.sums = rest, []
            self.of.update(dict.fromkeys(own, own))
        return True

    def dissolve(self, cluster: FusionGroup) -> None:
        """Makes every node of a cluster one of its own."""
        for node in cluster:
            self.of.pop(node, None)
            if node is not cluster.anchor:
                self.of[node] = FusionGroup(sums=[node]) if node in cluster.sums else FusionGroup([node])

    def sum(self, node: Node) -> None:
        """Has the sum `node` taken by a cluster that computes its operand or reads it, or by one of its own."""
        (tensor,) = node.inputs
        twin = next((u for u in self.graph.users[tensor] if u.op.name == "variance" and u.attrs == node.attrs), None)
        if twin is not None:  # the two are found in one pass
            cluster = self.of.setdefault(twin, FusionGroup(anchor=twin))
            cluster.sums.append(node)
            self.of[node] = cluster
            return
        home = self.of.get(tensor.node)
        users = [self.of[user] for user in self.graph.users[tensor] if user in self.of]
        for cluster in dict.fromkeys([*([home] if home else []), *users]):
            fits = cluster.anchor is None and cluster.shape == tensor.shape and _plain(cluster)
            if fits and self.is_convex([*cluster.nodes, *cluster.sums, node]):
                cluster.sums.append(node)
                self.of[node] = cluster
                return
        self.of[node] = FusionGroup(sums=[node])


def _plain(cluster: FusionGroup) -> bool:
    """Whether a cluster reads and makes nothing but real numbers that lie in memory."""
    return all(t.dtype == FLOAT for n in cluster.nodes for t in (*n.inputs, *n.outputs)) and not any(
        n.op.name in ("one_hot", "bernoulli", "cast") for n in cluster.nodes
    )


def clusters(graph: Graph) -> list[FusionGroup]:
    """Every node but inputs, variables and constants, in clusters (most of them of one node), in an order to run."""
    state = FusionGroups(graph)
    for node in graph.nodes:
        if node.op.name in POINTWISE:
            state.join(node)
    for node in reversed(graph.nodes):
        if node in state.of:
            state.sink(node)
    for node in graph.nodes:
        if node.op.name == "sum" and sweeps(node):
            state.sum(node)
    for node in graph.nodes:
        if node.op.name in ANCHORS:
            state.anchor(node)
    return _ordered(graph, state)


def _ordered(graph: Graph, state: FusionGroups) -> list[FusionGroup]:
    """Clusters after all whose results they read; near the place of their first node otherwise."""
    needs = _needs(graph, state)
    while knot := _find_cycle(needs):
        state.dissolve(max(knot, key=lambda c: (len(c.nodes), -min(state.position[n] for n in c))))
        needs = _needs(graph, state)
    order: dict[FusionGroup, None] = {}
    for cluster in needs:
        stack = [cluster]
        while stack:
            for other in needs[stack[-1]]:
                if other not in order:
                    stack.append(other)
                    break
            else:
                order[stack.pop()] = None
    return list(order)


def _needs(graph: Graph, state: FusionGroups) -> dict[FusionGroup, list[FusionGroup]]:
    """For each cluster, in the order of their first nodes, those whose results it reads."""
    home: dict[Node, FusionGroup] = {}
    for node in graph.nodes:
        if node in state.of:
            home[node] = state.of[node]
        elif node.op is not INPUT and node.op is not VARIABLE and node.op.name != "constant":
            home[node] = FusionGroup([], node)
    needs: dict[FusionGroup, list[FusionGroup]] = {}
    for cluster in home.values():
        if cluster not in needs:
            read = dict.fromkeys([home[t.node] for node in cluster for t in node.inputs if t.node in home])
            read.pop(cluster, None)
            needs[cluster] = list(read)
    return needs


def _find_cycle(needs: Mapping[FusionGroup, Collection[FusionGroup]]) -> list[FusionGroup]:
    """Clusters that wait for each other: two can, though no path of nodes leads from either back into it."""
    for _ in range(2):  # once from the beginning, once from the end: what is left lies between knots, or in one
        users: dict[FusionGroup, list[FusionGroup]] = {c: [] for c in needs}
        for cluster, others in needs.items():
            for other in others:
                users[other].append(cluster)
        missing = {c: len(others) for c, others in needs.items()}
        ready = [c for c, count in missing.items() if not count]
        while ready:
            top = ready.pop()
            del missing[top]
            for user in users[top]:
                missing[user] -= 1
                if not missing[user]:
                    ready.append(user)
        needs = {c: [user for user in users[c] if user in missing] for c in missing}
    return [cluster for cluster in needs if len(cluster.nodes) + len(cluster.sums) + bool(cluster.anchor) > 1]
