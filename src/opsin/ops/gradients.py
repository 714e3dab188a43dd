"""Backpropagation, with the operations of this room."""

from __future__ import annotations

from collections.abc import Sequence

from opsin.base.errors import GraphError
from opsin.ir import FLOAT, Tensor, backprop
from opsin.ops.arithmetic import add
from opsin.ops.constant import constant


def gradients(loss: Tensor, wrt: Sequence[Tensor]) -> list[Tensor | None]:
    """The gradients of the scalar `loss` by each tensor in `wrt`; `None` where it does not depend on it."""
    if loss.shape != () or loss.dtype != FLOAT:
        raise GraphError(f"expected a scalar loss, got {loss.type}; take its mean or sum first")
    return backprop(loss, wrt, constant(1.0), add)
