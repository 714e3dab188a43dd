"""Backpropagation as a transformation: from a graph to a larger graph.

Reverse-mode differentiation (Linnainmaa 1970; Rumelhart, Hinton & Williams 1986): walk the nodes
from the loss back to the inputs; each operation turns the gradients of its outputs into gradients
of its inputs, as graph nodes, and where a tensor has several users their contributions are added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from opsin.base.errors import GraphError
from opsin.ir.core import FLOAT, Tensor, scope
from opsin.ir.graph import topological


def backprop(
    loss: Tensor,
    wrt: Sequence[Tensor],
    seed: Tensor,
    add: Callable[[Tensor, Tensor], Tensor],
) -> list[Tensor | None]:
    """The gradients of `loss` by each tensor in `wrt`, `None` where the loss does not depend on it.

    `seed` is the gradient of the loss by itself (a one of its shape), `add` the operation that
    sums two contributions: this room knows no operations.
    """
    if seed.shape != loss.shape:
        raise GraphError(f"the seed gradient is {seed.type}, the loss {loss.type}")
    order = topological([loss])
    wanted = set(wrt)
    leads: set[Tensor] = set()
    for node in order:
        if leads.isdisjoint(node.inputs):
            leads.update(wanted.intersection(node.outputs))
        else:
            leads.update(node.outputs)
    gradients: dict[Tensor, Tensor] = {loss: seed}
    for node in reversed(order):
        if leads.isdisjoint(node.inputs):
            continue
        grads = [gradients[t] for t in node.outputs if t in gradients]
        if not grads:
            continue
        if len(grads) < len(node.outputs):
            raise GraphError(f"{node}: every output of an operation with several must reach the loss")
        with scope(node.scope):
            parts = node.op.gradient(node, *grads)
            for operand, part in zip(node.inputs, parts, strict=True):
                if part is None or operand not in leads or operand.dtype != FLOAT:
                    continue
                if part.shape != operand.shape:
                    raise GraphError(f"{node}: gradient is {part.type} for an operand of {operand.type}")
                known = gradients.get(operand)
                gradients[operand] = part if known is None else add(known, part)
    return [gradients.get(t) for t in wrt]
