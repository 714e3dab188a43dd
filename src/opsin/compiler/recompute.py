"""Activations computed again in the backward pass instead of kept for it (checkpointing).

Backpropagation reads what the forward pass made, so that at its turning point nearly all of that is in memory. A
graph in which the backward pass reads a second computation of some tensors, from others that are kept, needs less
(Griewank & Walther, "Algorithm 799: revolve", 2000; Chen et al., "Training Deep Nets with Sublinear Memory Cost",
2016). The second computation is made of the same operations on the same values, and so has the same bits; what is
updated once a step, such as running statistics, still comes from the first.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import prod

from opsin.ir import INPUT, VARIABLE, Graph, Node, Tensor, apply
from opsin.ops import OPS

SWEPT = frozenset("add subtract multiply negate relu relu6 maximum minimum reshape broadcast_to constant".split())
"""Operations that take no longer than reading their operands."""
MUCH = 2**26
"""Numbers: a quarter of a gigabyte."""


@dataclass(frozen=True)
class StoredActivation:
    """A tensor that the forward pass leaves for the backward pass, and what computing it again takes."""

    tensor: Tensor
    macs: int
    """Multiply-adds from `sources`."""
    sources: frozenset[Tensor]
    """Other stored tensors that it is computed from, with nothing stored between."""
    pointwise: bool
    """Whether one sweep over the sources computes it, as it does activations and normalisations."""

    @property
    def elements(self) -> int:
        return prod(map(int, self.tensor.shape))  # type: ignore[arg-type]


def stored(graph: Graph, batch: int) -> list[StoredActivation]:
    """What the backward pass reads of a bound `graph`'s activations, in the order they are made."""
    fed = _fed(graph.forward)
    found = _left(graph, fed, batch)
    known = set(found)
    return [_priced(t, known, fed, batch) for t in found]


def _left(graph: Graph, fed: set[Node], batch: int) -> list[Tensor]:
    """The tensors that are `stored`; `fed` are the nodes of the forward pass that depend on an input."""
    inside = set(graph.forward)
    read = {t for node in graph.nodes if node not in inside for t in node.inputs}
    return [
        t for node in graph.forward for t in node.outputs
        if t in read and node in fed and node.op is not INPUT and _per_image(t, batch)
    ]  # fmt: skip


def recompute(graph: Graph, dropped: Collection[Tensor], batch: int) -> tuple[Graph, frozenset[Node]]:
    """`graph` with the backward pass reading a second computation of the tensors `dropped`, all of them `stored`.

    The nodes of the second computation come with it.
    """
    if not dropped:
        return graph, frozenset()
    inside = set(graph.forward)
    fed = _fed(graph.forward)
    wanted = set(dropped)
    kept = set(_left(graph, fed, batch)) - wanted
    again: dict[Tensor, Tensor] = {}

    def operand(t: Tensor) -> Tensor:
        """What a second computation reads in place of `t`."""
        if t in again:
            return again[t]
        if t.node.op in (INPUT, VARIABLE) or t.node not in fed or not _per_image(t, batch):
            return t
        again[t] = _apart(t)
        return again[t]

    copies = []
    for node in _between(wanted, kept, fed, batch):
        copy = node.on(tuple([operand(t) for t in node.inputs]))
        copies.append(copy)
        again.update(zip(node.outputs, copy.outputs, strict=True))
    new: dict[Tensor, Tensor] = {t: _apart(again[t]) for t in wanted}
    for node in graph.nodes:
        if node not in inside and not new.keys().isdisjoint(node.inputs):
            made = node.on(tuple([new.get(t, t) for t in node.inputs]))
            new.update(zip(node.outputs, made.outputs, strict=True))
    updates = {name: t if t.node in inside else new.get(t, t) for name, t in graph.updates.items()}
    return Graph(graph.inputs, graph.outputs, updates), frozenset(copies)


def _apart(tensor: Tensor) -> Tensor:
    """`tensor` for readers that are not to be fused with what makes it.

    The second computation must neither happen in one sweep with the first, which would keep it as long, nor wait for
    the gradients. Fusion does not look through a change of shape, even one to the same shape.
    """
    return apply(OPS["reshape"], (tensor,), {"shape": tensor.shape}, tensor.node.scope).output


def macs(graph: Graph) -> int:
    """Multiply-adds of a bound graph."""
    return sum(map(_macs, graph.nodes))


def _macs(node: Node) -> int:
    amount = node.op.macs(node)
    assert isinstance(amount, int), f"{node} is not bound to a batch"
    return amount


def cheap(items: Sequence[StoredActivation]) -> list[StoredActivation]:
    """Those that take no multiply-add: activations, normalisations, pooling. The largest come first."""
    return sorted((s for s in items if not s.macs), key=lambda s: -s.elements)


def pointwise(graph: Graph, batch: int) -> list[Tensor]:
    """What is computed again even where memory has no limit: what a sweep computes, if there is much of it.

    Then it lies in no cache, so that reading it takes nearly as long as computing it from what is read there anyway.
    """
    found = [s for s in stored(graph, batch) if s.pointwise]
    return [s.tensor for s in found] if sum(s.elements for s in found) >= MUCH else []


def segments(items: Sequence[StoredActivation], count: int) -> list[list[StoredActivation]]:
    """What may be dropped in about `count` stretches of the forward pass, that which frees most per multiply-add first.

    Each stretch keeps what later ones are computed from, so that it is computed again by itself when the backward pass
    comes to it. The last stretch, which the backward pass needs at once, is not among them.
    """
    number = {s.tensor: place for place, s in enumerate(items)}
    last = list(range(len(items)))
    """The last item that reads each."""
    for place, s in enumerate(items):
        for source in s.sources:
            last[number[source]] = place
    ends = _ends(items, last, count)
    found = []
    for start, end in zip([0, *ends], ends, strict=False):
        inner = [items[place] for place in range(start, end) if last[place] < end]
        if inner:
            found.append(inner)
    return sorted(found, key=lambda part: -sum(s.elements for s in part) / (1 + sum(s.macs for s in part)))


def _ends(items: Sequence[StoredActivation], last: Sequence[int], count: int) -> list[int]:
    """Where stretches end: near equal shares of the elements, and there where least is read across."""
    sizes = [s.elements for s in items]
    sums = [0]
    for size in sizes:
        sums.append(sums[-1] + size)
    across = [sum(sizes[i] for i in range(end) if last[i] >= end) for end in range(len(items) + 1)]
    ends: list[int] = []
    for part in range(1, count):
        low, high = (sums[-1] * (2 * part + side) / (2 * count) for side in (-1, 1))
        places = [end for end in range(1, len(items)) if low <= sums[end] < high]
        if places:
            ends.append(min(places, key=lambda end: (across[end], -end)))
    return ends


def _fed(forward: Sequence[Node]) -> set[Node]:
    """The nodes that depend on an input."""
    fed: set[Node] = set()
    for node in forward:
        if node.op is INPUT or any(t.node in fed for t in node.inputs):
            fed.add(node)
    return fed


def _per_image(tensor: Tensor, batch: int) -> bool:
    """Whether a tensor grows with the batch; statistics and other sums over it are small, and always kept."""
    return bool(tensor.shape) and tensor.shape[0] == batch


def _priced(tensor: Tensor, known: set[Tensor], fed: set[Node], batch: int) -> StoredActivation:
    between = _between({tensor}, known - {tensor}, fed, batch)
    sources = {t for node in between for t in node.inputs if t in known and t is not tensor}
    return StoredActivation(
        tensor, sum(map(_macs, between)), frozenset(sources), all(n.op.name in SWEPT for n in between)
    )


def _between(wanted: Collection[Tensor], kept: Collection[Tensor], fed: set[Node], batch: int) -> list[Node]:
    """The nodes that compute `wanted` from `kept`, inputs, variables and what is small, operands first."""
    order: dict[Node, None] = {}
    for goal in wanted:
        stack = [goal.node]
        while stack:
            node = stack[-1]
            missing = [
                t.node for t in node.inputs
                if t not in kept and t.node in fed and t.node.op is not INPUT
                and _per_image(t, batch) and t.node not in order
            ]  # fmt: skip
            if missing:
                stack.extend(missing)
            else:
                order.setdefault(stack.pop())
    return list(order)
