"""Activations computed again in the backward pass instead of being stored for it (activation checkpointing).

The backward pass reads the results of the forward pass: between the two, nearly all of them are in memory. A
graph in which the backward pass reads a second computation of some tensors, from others that are stored, needs less
(Griewank & Walther, "Algorithm 799: revolve", 2000; Chen et al., "Training Deep Nets with Sublinear Memory Cost",
2016). The second computation applies the same operations to the same values, and is therefore bit-identical; values
that are updated once a step, such as running statistics, still come from the first.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import prod

from opsin.ir import INPUT, VARIABLE, Graph, Node, Tensor, apply
from opsin.ops import OPS

MEMORY_BOUND_OPS = frozenset(
    "add subtract multiply negate relu relu6 maximum minimum reshape broadcast_to constant".split()
)
"""Operations that take no longer than reading their operands."""
MIN_RECOMPUTED_ELEMENTS = 2**26
"""The minimum elements of memory-bound activations that are always computed again: a quarter of a gigabyte."""


@dataclass(frozen=True)
class StoredActivation:
    """A tensor that the forward pass stores for the backward pass, and what it takes to compute it again."""

    tensor: Tensor
    macs: int
    """Multiply-accumulate operations to compute it from `sources`."""
    sources: frozenset[Tensor]
    """Other stored tensors that it is computed from, without one in between."""
    memory_bound: bool
    """Whether one sweep over the sources computes it, as for activations and normalizations."""

    @property
    def elements(self) -> int:
        return prod(map(int, self.tensor.shape))  # type: ignore[arg-type]


def stored_activations(graph: Graph, batch: int) -> list[StoredActivation]:
    """Return the activations of a bound `graph` that the backward pass reads, in the order of their computation."""
    dependent_nodes = _input_dependent(graph.forward)
    tensors = _stored_tensors(graph, dependent_nodes, batch)
    stored_tensors = set(tensors)
    return [_activation(t, stored_tensors, dependent_nodes, batch) for t in tensors]


def _stored_tensors(graph: Graph, dependent_nodes: set[Node], batch: int) -> list[Tensor]:
    """Return the tensors of `stored_activations`; `dependent_nodes` of the forward pass depend on an input."""
    forward = set(graph.forward)
    read = {t for node in graph.nodes if node not in forward for t in node.inputs}
    return [
        t for node in graph.forward for t in node.outputs
        if t in read and node in dependent_nodes and node.op is not INPUT and _has_batch(t, batch)
    ]  # fmt: skip


def recompute(graph: Graph, dropped_tensors: Collection[Tensor], batch: int) -> tuple[Graph, frozenset[Node]]:
    """Return a graph whose backward pass reads a second computation of `dropped_tensors`, and the nodes of the latter.

    All of `dropped_tensors` must be among `stored_activations`.
    """
    if not dropped_tensors:
        return graph, frozenset()
    forward = set(graph.forward)
    dependent_nodes = _input_dependent(graph.forward)
    targets = set(dropped_tensors)
    sources = set(_stored_tensors(graph, dependent_nodes, batch)) - targets
    second_tensors: dict[Tensor, Tensor] = {}

    def operand(t: Tensor) -> Tensor:
        """Return the tensor that the second computation reads in place of `t`."""
        if t in second_tensors:
            return second_tensors[t]
        if t.node.op in (INPUT, VARIABLE) or t.node not in dependent_nodes or not _has_batch(t, batch):
            return t
        second_tensors[t] = _fusion_barrier(t)
        return second_tensors[t]

    copies = []
    for node in _between(targets, sources, dependent_nodes, batch):
        copy = node.on(tuple([operand(t) for t in node.inputs]))
        copies.append(copy)
        second_tensors.update(zip(node.outputs, copy.outputs, strict=True))
    replacements: dict[Tensor, Tensor] = {t: _fusion_barrier(second_tensors[t]) for t in targets}
    for node in graph.nodes:
        if node not in forward and not replacements.keys().isdisjoint(node.inputs):
            reader = node.on(tuple([replacements.get(t, t) for t in node.inputs]))
            replacements.update(zip(node.outputs, reader.outputs, strict=True))
    updates = {name: t if t.node in forward else replacements.get(t, t) for name, t in graph.updates.items()}
    return Graph(graph.inputs, graph.outputs, updates), frozenset(copies)


def _fusion_barrier(tensor: Tensor) -> Tensor:
    """Return `tensor` for readers that must not be fused with the node that computes it.

    The second computation must not share a sweep with the first, which would store it as long as before, nor wait for
    the gradients. Fusion does not look through a reshape, even one to the same shape.
    """
    return apply(OPS["reshape"], (tensor,), {"shape": tensor.shape}, tensor.node.scope).output


def macs(graph: Graph) -> int:
    """Return the multiply-accumulate operations of a bound graph."""
    return sum(map(_macs, graph.nodes))


def _macs(node: Node) -> int:
    amount = node.op.macs(node)
    assert isinstance(amount, int), f"{node} is not bound to a batch"
    return amount


def cheap_activations(items: Sequence[StoredActivation]) -> list[StoredActivation]:
    """Return those without multiply-accumulate operations, the largest first: activations, normalizations, pooling."""
    return sorted((s for s in items if not s.macs), key=lambda s: -s.elements)


def memory_bound(graph: Graph, batch: int) -> list[Tensor]:
    """Return the tensors that are computed again even without a memory limit: results of sweeps, if they are large in
    total.

    They are in no cache then, and reading them takes nearly as long as computing them from operands that the
    backward pass reads in any case.
    """
    items = [s for s in stored_activations(graph, batch) if s.memory_bound]
    return [s.tensor for s in items] if sum(s.elements for s in items) >= MIN_RECOMPUTED_ELEMENTS else []


def segments(items: Sequence[StoredActivation], count: int) -> list[list[StoredActivation]]:
    """Return the tensors that may be dropped in about `count` segments of the forward pass, the most memory per
    operation first.

    Each segment stores what later ones are computed from, so that the backward pass can recompute it independently.
    The last segment is left out, because the backward pass reads it immediately.
    """
    number = {s.tensor: i for i, s in enumerate(items)}
    last_reader = list(range(len(items)))
    for i, s in enumerate(items):
        for source in s.sources:
            last_reader[number[source]] = i
    ends = _ends(items, last_reader, count)
    inner = [
        [items[i] for i in range(start, end) if last_reader[i] < end]
        for start, end in zip([0, *ends], ends, strict=False)
    ]
    droppable = [segment for segment in inner if segment]
    return sorted(droppable, key=lambda segment: -sum(s.elements for s in segment) / (1 + sum(s.macs for s in segment)))


def _ends(items: Sequence[StoredActivation], last_reader: Sequence[int], count: int) -> list[int]:
    """Return where segments end: near equal shares of the elements, where the least is read across the end."""
    sizes = [s.elements for s in items]
    sums = [0]
    for size in sizes:
        sums.append(sums[-1] + size)
    across = [sum(sizes[i] for i in range(end) if last_reader[i] >= end) for end in range(len(items) + 1)]
    ends: list[int] = []
    for segment in range(1, count):
        low, high = (sums[-1] * (2 * segment + side) / (2 * count) for side in (-1, 1))
        end_candidates = [end for end in range(1, len(items)) if low <= sums[end] < high]
        if end_candidates:
            ends.append(min(end_candidates, key=lambda end: (across[end], -end)))
    return ends


def _input_dependent(forward: Sequence[Node]) -> set[Node]:
    """Return the nodes that depend on an input."""
    dependent_nodes: set[Node] = set()
    for node in forward:
        if node.op is INPUT or any(t.node in dependent_nodes for t in node.inputs):
            dependent_nodes.add(node)
    return dependent_nodes


def _has_batch(tensor: Tensor, batch: int) -> bool:
    """Whether a tensor grows with the batch; statistics and other sums over it are small, and always stored."""
    return bool(tensor.shape) and tensor.shape[0] == batch


def _activation(
    tensor: Tensor, stored_tensors: set[Tensor], dependent_nodes: set[Node], batch: int
) -> StoredActivation:
    between = _between({tensor}, stored_tensors - {tensor}, dependent_nodes, batch)
    sources = {t for node in between for t in node.inputs if t in stored_tensors and t is not tensor}
    return StoredActivation(
        tensor, sum(map(_macs, between)), frozenset(sources), all(n.op.name in MEMORY_BOUND_OPS for n in between)
    )


def _between(
    targets: Collection[Tensor], sources: Collection[Tensor], dependent_nodes: set[Node], batch: int
) -> list[Node]:
    """Return the nodes that compute `targets` from `sources`, inputs, variables and small tensors, operands first."""
    order: dict[Node, None] = {}
    for target in targets:
        stack = [target.node]
        while stack:
            node = stack[-1]
            missing = [
                t.node for t in node.inputs
                if t not in sources and t.node in dependent_nodes and t.node.op is not INPUT
                and _has_batch(t, batch) and t.node not in order
            ]  # fmt: skip
            if missing:
                stack.extend(missing)
            else:
                order.setdefault(stack.pop())
    return list(order)
