"""Comparisons as real numbers: 1.0 where they are true, 0.0 where they are false."""

from __future__ import annotations

import numpy as np

from opsin.ir import Tensor
from opsin.ops.constant import Operand, as_tensors
from opsin.ops.pointwise import Comparison
from opsin.ops.registry import Array, precision, register


class Greater(Comparison):
    """a > b."""

    name = "greater"

    def evaluate(self, a: Array, b: Array) -> Array:
        return np.greater(a, b).astype(precision(a, b))


class Equal(Comparison):
    """a = b."""

    name = "equal"

    def evaluate(self, a: Array, b: Array) -> Array:
        return np.equal(a, b).astype(precision(a, b))


_greater = register(Greater())
_equal = register(Equal())


def greater(a: Operand, b: Operand) -> Tensor:
    """Return 1.0 where a > b, else 0.0, with broadcasting. It has no gradient."""
    return _greater(*as_tensors(a, b)).output


def equal(a: Operand, b: Operand) -> Tensor:
    """Return 1.0 where a = b, else 0.0, with broadcasting. It has no gradient."""
    return _equal(*as_tensors(a, b)).output
