"""Backpropagation as a transformation from a graph to a larger graph.

Reverse-mode differentiation (Linnainmaa 1970; Rumelhart, Hinton & Williams 1986): visit the nodes from the loss back to
the inputs. Each operation turns the gradients of its outputs into gradients of its inputs, as graph nodes. If a tensor
has several users, their contributions are added.
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
    """Return the gradients of `loss` with respect to each tensor in `wrt`; `None` if the loss does not depend on it.

    `seed` is the gradient of the loss with respect to itself (a one of its shape), `add` the operation that adds two
    contributions: this package knows no operations.
    """
    if seed.shape != loss.shape:
        raise GraphError(f"the seed gradient is {seed.type}, the loss {loss.type}")
    order = topological([loss])
    targets = set(wrt)
    dependent_tensors: set[Tensor] = set()  # tensors that depend on one of the targets
    for node in order:
        if dependent_tensors.isdisjoint(node.inputs):
            dependent_tensors.update(targets.intersection(node.outputs))
        else:
            dependent_tensors.update(node.outputs)
    gradients: dict[Tensor, Tensor] = {loss: seed}
    for node in reversed(order):
        if dependent_tensors.isdisjoint(node.inputs):
            continue
        grads = [gradients[t] for t in node.outputs if t in gradients]
        if not grads:
            continue
        if len(grads) < len(node.outputs):
            raise GraphError(f"{node}: every output of an operation with several must reach the loss")
        with scope(node.scope):
            contributions = node.op.gradient(node, *grads)
            for operand, contribution in zip(node.inputs, contributions, strict=True):
                if contribution is None or operand not in dependent_tensors or operand.dtype != FLOAT:
                    continue
                if contribution.shape != operand.shape:
                    raise GraphError(f"{node}: gradient is {contribution.type} for an operand of {operand.type}")
                total = gradients.get(operand)
                gradients[operand] = contribution if total is None else add(total, contribution)
    return [gradients.get(t) for t in wrt]
