"""Elementwise selection."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import Node, Tensor, Type
from opsin.ops import sampling
from opsin.ops.broadcast import broadcast_shapes, random_operand, sum_to
from opsin.ops.constant import Operand, as_tensors
from opsin.ops.registry import Array, Primitive, Sample, need_float, register


class Where(Primitive):
    """condition (real numbers), a, b → a where the condition is not zero, else b, with broadcasting."""

    name = "where"

    def infer(self, condition: Type, a: Type, b: Type) -> Type:
        need_float(self.name, condition)
        if a.dtype != b.dtype:
            raise ShapeError(f"where: {a} and {b} differ in dtype; cast the whole numbers first")
        return Type(broadcast_shapes(self.name, condition.shape, a.shape, b.shape), a.dtype)

    def evaluate(self, condition: Array, a: Array, b: Array) -> Array:
        return np.where(condition != 0, a, b)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        condition, a, b = node.inputs
        return None, sum_to(where(condition, g, 0.0), a.shape), sum_to(where(condition, 0.0, g), b.shape)

    def sample(self, rng: np.random.Generator) -> Sample:
        shape = sampling.shape(rng)
        condition = sampling.whole(rng, random_operand(rng, shape), -1, 2).astype(np.float64)
        a, b = (sampling.normal(rng, random_operand(rng, shape)) for _ in range(2))
        return Sample((condition, a, b), {}, (1, 2))


_where = register(Where())


def where(condition: Tensor, a: Operand, b: Operand) -> Tensor:
    """Return `a` where `condition` is not zero, else `b`, with broadcasting."""
    return _where(condition, *as_tensors(a, b)).output
