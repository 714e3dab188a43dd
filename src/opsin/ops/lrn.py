"""Local response normalization (Krizhevsky, Sutskever & Hinton 2012)."""

from __future__ import annotations

from functools import reduce

from opsin.ir import Tensor
from opsin.ops.arithmetic import add, multiply, square
from opsin.ops.registry import shape_error
from opsin.ops.slice_pad import narrow, pad
from opsin.ops.unary import power


def local_response_norm(x: Tensor, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Return x / (k + alpha/size · Σ x² over `size` neighbouring channels)^beta for x N × C × …, as PyTorch does."""
    if x.rank < 2 or size < 1:
        raise shape_error(
            f"local_response_norm: expected N × channels × … and a size of at least 1, got {x.type} and {size}"
        )
    zeros = [0] * (x.rank - 2)
    padded = pad(square(x), [0, size // 2, *zeros], [0, (size - 1) // 2, *zeros])
    window = reduce(add, [narrow(padded, 1, first, x.shape[1]) for first in range(size)])
    return multiply(x, power(add(multiply(window, alpha / size), k), -beta))
