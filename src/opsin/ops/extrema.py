"""Elementwise maximum and minimum. If both numbers are equal, the gradient goes to the first."""

from __future__ import annotations

import numpy as np

from opsin.ir import Tensor
from opsin.ops.compare import greater
from opsin.ops.constant import Operand, as_tensors
from opsin.ops.pointwise import Binary
from opsin.ops.registry import Array, register
from opsin.ops.where import where


class Maximum(Binary):
    """The larger of a and b; NaN if either is NaN."""

    name = "maximum"

    def evaluate(self, a: Array, b: Array) -> Array:
        return np.asarray(np.maximum(a, b))

    def slopes(self, a: Tensor, b: Tensor, y: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        is_second = greater(b, a)
        return where(is_second, 0.0, g), where(is_second, g, 0.0)


class Minimum(Binary):
    """The smaller of a and b; NaN if either is NaN."""

    name = "minimum"

    def evaluate(self, a: Array, b: Array) -> Array:
        return np.asarray(np.minimum(a, b))

    def slopes(self, a: Tensor, b: Tensor, y: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        is_second = greater(a, b)
        return where(is_second, 0.0, g), where(is_second, g, 0.0)


_maximum = register(Maximum())
_minimum = register(Minimum())


def maximum(a: Operand, b: Operand) -> Tensor:
    """Return the larger of a and b, element by element, with broadcasting."""
    return _maximum(*as_tensors(a, b)).output


def minimum(a: Operand, b: Operand) -> Tensor:
    """Return the smaller of a and b, element by element, with broadcasting."""
    return _minimum(*as_tensors(a, b)).output


def clip(x: Tensor, low: float, high: float) -> Tensor:
    """Return `x` clipped to `low` … `high`. At the bounds themselves the gradient passes."""
    return minimum(maximum(x, low), high)
