"""Backpropagation with the operations of this package."""

from __future__ import annotations

from collections.abc import Sequence

from opsin.base.errors import GraphError
from opsin.ir import FLOAT, Tensor, backprop
from opsin.ops.arithmetic import add
from opsin.ops.constant import constant


def gradients(loss: Tensor, wrt: Sequence[Tensor]) -> list[Tensor | None]:
    """Return the gradients of the scalar `loss` for each tensor in `wrt`; `None` if the loss does not depend on it."""
    if loss.shape != () or loss.dtype != FLOAT:
        raise GraphError(f"expected a scalar loss, got {loss.type}; take its mean or sum first")
    return backprop(loss, wrt, constant(1.0), add)
