"""Base classes of operations on single elements and on pairs of elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import FLOAT, Node, Tensor, Type
from opsin.ops import sampling
from opsin.ops.broadcast import broadcast_shapes, random_operand, sum_to
from opsin.ops.registry import Primitive, Sample, need_float


class Unary(Primitive):
    """x, any shape of real numbers → the same shape."""

    domain = (-4.0, 4.0)
    """The range of sample values."""

    def infer(self, x: Type, **attrs: Any) -> Type:
        need_float(self.name, x)
        return x

    def sample(self, rng: np.random.Generator) -> Sample:
        return Sample((sampling.distinct(rng, sampling.shape(rng), *self.domain),), {}, (0,))


class Binary(Primitive):
    """a and b of one dtype → their elements in pairs, after broadcasting."""

    def infer(self, a: Type, b: Type) -> Type:
        if a.dtype != b.dtype:
            raise ShapeError(f"{self.name}: {a} and {b} differ in dtype; cast the whole numbers first")
        if not b.shape or b.shape == a.shape:  # as most often
            return a
        return Type(broadcast_shapes(self.name, a.shape, b.shape), a.dtype)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        a, b = node.inputs
        by_a, by_b = self.slopes(a, b, node.output, g)
        return sum_to(by_a, a.shape), sum_to(by_b, b.shape)

    def slopes(self, a: Tensor, b: Tensor, y: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients for a and for b, before the sum over broadcast axes."""
        raise NotImplementedError

    def sample(self, rng: np.random.Generator) -> Sample:
        shape = sampling.shape(rng)
        a, b = (sampling.distinct(rng, random_operand(rng, shape)) for _ in range(2))
        return Sample((a, b * 1.01), {}, (0, 1))


class Comparison(Binary):
    """a and b → 1.0 where the comparison is true, 0.0 elsewhere; it has no gradient."""

    def infer(self, a: Type, b: Type) -> Type:
        return Type(super().infer(a, b).shape, FLOAT)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        return None, None

    def sample(self, rng: np.random.Generator) -> Sample:
        shape = sampling.shape(rng)
        a, b = (sampling.whole(rng, random_operand(rng, shape), -2, 3) for _ in range(2))
        return Sample((a, b) if sampling.flip(rng) else (a.astype(np.float64), b.astype(np.float64)), {})
