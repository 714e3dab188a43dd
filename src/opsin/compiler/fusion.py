"""Pointwise fusion: groups of nodes that are computed together, in registers.

A `FusionGroup` is a set of pointwise nodes of one shape that one kernel computes in a single sweep; its
anchor, if it has one, is the convolution or matrix product whose sums it finishes before they are
stored. Sums by channel of what a group computes, or reads, are taken in the same sweep. A node joins
the group of an operand if no path leads out of the group and back into it. Cheap derivatives read only
by the backward pass are sunk into it, so that their operands are stored instead of their results.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import cast

from opsin.compiler.cost_model import EPYC_ZEN3, CostModel
from opsin.compiler.simplify import by_channel
from opsin.ir import FLOAT, INPUT, VARIABLE, Graph, Node, Shape, Tensor

POINTWISE = frozenset(
    "add subtract multiply divide maximum minimum greater equal where negate exp log sqrt tanh sigmoid erf absolute "
    "sign relu relu6 power cast one_hot bernoulli add_int8 multiply_int8 quantize dequantize "
    "fake_quantize rescale high_byte low_byte join_bytes".split()
)
WHOLE_ANCHORS = frozenset(("conv2d_int8", "conv2d_int32"))
"""Operations with kernels that take an epilogue on whole numbers."""
ANCHORS = frozenset(("conv2d", "conv_transpose2d", "matmul", "scatter_add")) | WHOLE_ANCHORS
"""Operations with kernels that take an epilogue."""


def is_large_sum_by_channel(node: Node, costs: CostModel) -> bool:
    """Whether `node` sums a large array by channel."""
    (x,) = node.inputs
    shape = cast("tuple[int, ...]", x.shape)  # of a bound graph
    is_large = math.prod(shape) >= costs.sweep_min_elements
    return by_channel(x, node.attrs["axes"]) and is_large and shape[1] >= costs.sweep_min_channels


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
        """The shape that is computed, before it is summed."""
        return self.nodes[0].output.shape if self.nodes else self.sums[0].inputs[0].shape


class FusionGroups:
    """The division of a graph into groups, under construction.

    `ancestors` holds a bit mask for every node, with a bit for each node before it: n² / 16 bytes in total for n nodes,
    so that memory and time for masks grow with the square of the graph.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.position = {node: i for i, node in enumerate(graph.nodes)}
        self.group_of: dict[Node, FusionGroup] = {}
        self.ancestors: dict[Node, int] = {}
        for node, position in self.position.items():
            mask = 1 << position
            for operand in node.inputs:
                mask |= self.ancestors[operand.node]
            self.ancestors[node] = mask
        self.roots = set(graph.roots)

    def is_convex(self, nodes: list[Node], additions: Sequence[Node] = ()) -> bool:
        """Whether no path leaves the set of `nodes` and `additions` and leads back into `nodes`."""
        operands = {t.node for node in nodes for t in node.inputs}.difference(nodes, additions)
        positions = [self.position[node] for node in (*nodes, *additions)]
        first = min(positions)
        late_operands = [node for node in operands if self.position[node] > first]
        mask = reduce(or_, [1 << position for position in positions]) if late_operands else 0
        return not any(self.ancestors[node] & mask for node in late_operands)

    def follows(self, node: Node, group: FusionGroup) -> bool:
        """Whether no path leaves the nodes of `group`, all before `node`, and leads back into `node`."""
        first = self.position[group.nodes[0]]
        outer_operands = [t.node for t in node.inputs if self.group_of.get(t.node) is not group]
        late_operands = [operand for operand in outer_operands if self.position[operand] > first]
        mask = reduce(or_, [1 << self.position[member] for member in group.nodes]) if late_operands else 0
        return not any(self.ancestors[operand] & mask for operand in late_operands)

    def join(self, node: Node) -> None:
        """Put a pointwise node into the groups of its operands, merged, or into a new one."""
        shape = node.output.shape
        neighbours = {c for t in node.inputs if t.shape == shape and (c := self.group_of.get(t.node))}
        producer_group: FusionGroup | None = None
        for other in sorted(neighbours, key=lambda c: -self.position[c.nodes[-1]]):
            if producer_group is None:
                if self.follows(node, other):
                    other.nodes.append(node)
                    producer_group = other
            elif self.is_convex(producer_group.nodes + other.nodes):
                producer_group.nodes = sorted(producer_group.nodes + other.nodes, key=self.position.__getitem__)
                self.group_of.update(dict.fromkeys(other.nodes, producer_group))
        self.group_of[node] = producer_group or FusionGroup([node])

    def is_stored(self, tensor: Tensor) -> bool:
        """Whether a tensor is in memory in any case: a root, or read by another group than its own."""
        node = tensor.node
        group = self.group_of.get(node)
        if group is None or tensor in self.roots:
            return True
        return any(self.group_of.get(user) is not group for user in self.graph.users[tensor])

    def sink_into_consumer(self, node: Node) -> None:
        """Move `node` to the one group that reads it, if nothing else has to be stored for that."""
        tensor, home = node.output, self.group_of[node]
        users = self.graph.users[tensor]
        targets = {self.group_of.get(user) for user in users}
        if tensor in self.roots or len(targets) != 1 or targets == {home} or None in targets:
            return
        (target,) = targets
        assert target is not None
        sunk_nodes = self._movable(node, home, {node})
        if sunk_nodes is None or target.nodes[0].output.shape != tensor.shape:
            return
        home.nodes = [n for n in home.nodes if n not in sunk_nodes]
        target.nodes = sorted(target.nodes + list(sunk_nodes), key=self.position.__getitem__)
        for member in sunk_nodes:
            self.group_of[member] = target

    def _movable(self, node: Node, home: FusionGroup, sunk_nodes: set[Node]) -> set[Node] | None:
        """Return `node` with the operands that only it reads; None if some operand would have to be stored for it."""
        for operand in node.inputs:
            if (
                operand.node not in self.group_of
                or self.group_of[operand.node] is not home
                or operand.node in sunk_nodes
            ):
                continue
            other_users = [user for user in self.graph.users[operand] if user not in sunk_nodes]
            if any(self.group_of.get(user) is not home for user in other_users) or operand in self.roots:
                continue
            if other_users:
                return None
            sunk_nodes.add(operand.node)
            if self._movable(operand.node, home, sunk_nodes) is None:
                return None
        return sunk_nodes

    def anchor(self, node: Node) -> None:
        """Make `node` the anchor of the group that finishes its sums, if there is one."""
        tensor = node.output
        readers = {self.group_of.get(user) for user in self.graph.users[tensor]} - {None}
        for group in sorted((c for c in readers if c and c.nodes), key=lambda c: self.position[c.nodes[0]]):
            fits = group.anchor is None and group.nodes[0].output.shape == tensor.shape and _follows(group, node)
            if fits and self.is_convex(group.nodes, [node, *group.sums]) and self._without_sums(group):
                group.anchor = node
                self.group_of[node] = group
                return

    def _without_sums(self, group: FusionGroup) -> bool:
        """Move a group's sums, with the nodes only they read, to a new group; return whether that stores no more."""
        tail = set(group.sums)
        for node in reversed(group.nodes):
            if node.output not in self.roots and tail.issuperset(self.graph.users[node.output]):
                tail.add(node)
        rest = [node for node in group.nodes if node not in tail]
        read = {t for node in tail for t in node.inputs if t.node in rest}
        if not rest or any(not self.is_stored(t) for t in read):
            return False
        if group.sums:
            sums = FusionGroup([node for node in group.nodes if node in tail], sums=group.sums)
            group.nodes = rest
            group.sums = []
            self.group_of.update(dict.fromkeys(sums, sums))
        return True

    def dissolve(self, group: FusionGroup) -> None:
        """Make every node of a group a separate group."""
        for node in group:
            self.group_of.pop(node, None)
            if node is not group.anchor:
                self.group_of[node] = FusionGroup(sums=[node]) if node in group.sums else FusionGroup([node])

    def assign_sum(self, node: Node) -> None:
        """Add the sum `node` to a group that computes or reads its operand, or to a new one."""
        (tensor,) = node.inputs
        variance_node = next(
            (u for u in self.graph.users[tensor] if u.op.name == "variance" and u.attrs == node.attrs), None
        )
        if variance_node is not None:  # One pass computes both.
            group = self.group_of.setdefault(variance_node, FusionGroup(anchor=variance_node))
            group.sums.append(node)
            self.group_of[node] = group
            return
        home = self.group_of.get(tensor.node)
        users = [self.group_of[user] for user in self.graph.users[tensor] if user in self.group_of]
        for group in dict.fromkeys([*([home] if home else []), *users]):
            fits = group.anchor is None and group.shape == tensor.shape and _is_plain(group)
            if fits and self.is_convex([*group.nodes, *group.sums, node]):
                group.sums.append(node)
                self.group_of[node] = group
                return
        self.group_of[node] = FusionGroup(sums=[node])


def _is_plain(group: FusionGroup) -> bool:
    """Whether a group reads and computes nothing but floats in memory."""
    return all(t.dtype == FLOAT for n in group.nodes for t in (*n.inputs, *n.outputs)) and not any(
        n.op.name in ("one_hot", "bernoulli", "cast") for n in group.nodes
    )


def _follows(group: FusionGroup, anchor: Node) -> bool:
    """Whether the epilogue of `anchor` can compute a group."""
    if anchor.op.name in WHOLE_ANCHORS:
        return not group.sums and not any(n.op.name in ("one_hot", "bernoulli") for n in group.nodes)
    return _is_plain(group)


def fusion_groups(graph: Graph, costs: CostModel = EPYC_ZEN3) -> list[FusionGroup]:
    """Return all nodes but inputs, variables and constants, in groups (most of one node), in an order to run."""
    groups = FusionGroups(graph)
    for node in graph.nodes:
        if node.op.name in POINTWISE:
            groups.join(node)
    for node in reversed(graph.nodes):
        if node in groups.group_of:
            groups.sink_into_consumer(node)
    for node in graph.nodes:
        if node.op.name == "sum" and is_large_sum_by_channel(node, costs):
            groups.assign_sum(node)
    for node in graph.nodes:
        if node.op.name in ANCHORS:
            groups.anchor(node)
    return _ordered(graph, groups)


def _ordered(graph: Graph, groups: FusionGroups) -> list[FusionGroup]:
    """Return the groups, each after those that it depends on, and otherwise in the order of their first nodes."""
    dependencies = _dependencies(graph, groups)
    while cycle := _find_cycle(dependencies):
        groups.dissolve(max(cycle, key=lambda c: (len(c.nodes), -min(groups.position[n] for n in c))))
        dependencies = _dependencies(graph, groups)
    order: dict[FusionGroup, None] = {}
    for group in dependencies:
        stack = [group]
        while stack:
            for other in dependencies[stack[-1]]:
                if other not in order:
                    stack.append(other)
                    break
            else:
                order[stack.pop()] = None
    return list(order)


def _dependencies(graph: Graph, groups: FusionGroups) -> dict[FusionGroup, list[FusionGroup]]:
    """Return the groups that each group depends on, in the order of their first nodes."""
    home: dict[Node, FusionGroup] = {}
    for node in graph.nodes:
        if node in groups.group_of:
            home[node] = groups.group_of[node]
        elif node.op is not INPUT and node.op is not VARIABLE and node.op.name != "constant":
            home[node] = FusionGroup([], node)
    dependencies: dict[FusionGroup, list[FusionGroup]] = {}
    for group in home.values():
        if group not in dependencies:
            read = dict.fromkeys([home[t.node] for node in group for t in node.inputs if t.node in home])
            read.pop(group, None)
            dependencies[group] = list(read)
    return dependencies


def _find_cycle(dependencies: Mapping[FusionGroup, Collection[FusionGroup]]) -> list[FusionGroup]:
    """Return groups that wait for each other: two can, although no path of nodes leads from either back into it."""
    for _ in range(2):  # Once from the beginning, once from the end: the rest is in cycles, or between two.
        users: dict[FusionGroup, list[FusionGroup]] = {c: [] for c in dependencies}
        for group, group_dependencies in dependencies.items():
            for other in group_dependencies:
                users[other].append(group)
        counts = {c: len(group_dependencies) for c, group_dependencies in dependencies.items()}
        worklist = [c for c, count in counts.items() if not count]
        while worklist:
            top = worklist.pop()
            del counts[top]
            for user in users[top]:
                counts[user] -= 1
                if not counts[user]:
                    worklist.append(user)
        dependencies = {c: [user for user in users[c] if user in counts] for c in counts}
    return [group for group in dependencies if len(group.nodes) + len(group.sums) + bool(group.anchor) > 1]
