"""Matrix products and linear layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import Dim, Node, Tensor, Type, same_size
from opsin.ops import sampling
from opsin.ops.arithmetic import add
from opsin.ops.registry import Array, Primitive, Sample, need_float, register, shape_error


class Matmul(Primitive):
    """Matrices a, b → their product; `transpose_a` and `transpose_b` transpose them first."""

    name = "matmul"

    def infer(self, a: Type, b: Type, *, transpose_a: bool, transpose_b: bool) -> Type:
        need_float(self.name, a, b)
        for x in (a, b):
            if len(x.shape) != 2:
                raise ShapeError(f"matmul: expected matrices, got {x}; flatten or reshape it to two axes first")
        rows, inner = a.shape[::-1] if transpose_a else a.shape
        depth, columns = b.shape[::-1] if transpose_b else b.shape
        if not same_size(inner, depth):
            marks = ["ᵀ" if flag else "" for flag in (transpose_a, transpose_b)]
            raise ShapeError(
                f"matmul: ({a}){marks[0]} · ({b}){marks[1]} needs as many columns on the left ({inner}) "
                f"as rows on the right ({depth})"
            )
        return Type((rows, columns))

    def evaluate(self, a: Array, b: Array, *, transpose_a: bool, transpose_b: bool) -> Array:
        return np.asarray((a.T if transpose_a else a) @ (b.T if transpose_b else b))

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        a, b = node.inputs
        ta, tb = node.attrs["transpose_a"], node.attrs["transpose_b"]
        by_a = matmul(b, g, tb, True) if ta else matmul(g, b, False, not tb)
        by_b = matmul(g, a, True, ta) if tb else matmul(a, g, not ta, False)
        return by_a, by_b

    def macs(self, node: Node) -> Dim:
        (rows, columns), (a, _) = node.output.shape, node.inputs
        return rows * columns * a.shape[0 if node.attrs["transpose_a"] else 1]

    def sample(self, rng: np.random.Generator) -> Sample:
        rows, inner, columns = (sampling.pick(rng, sampling.CHANNELS) for _ in range(3))
        ta, tb = sampling.flip(rng), sampling.flip(rng)
        a = sampling.normal(rng, (inner, rows) if ta else (rows, inner))
        b = sampling.normal(rng, (columns, inner) if tb else (inner, columns))
        return Sample((a, b), {"transpose_a": ta, "transpose_b": tb}, (0, 1))


_matmul = register(Matmul())


def matmul(a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    """Return the matrix product of `a` and `b`, each optionally transposed first."""
    return _matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b).output


def linear(x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    """Return x wᵀ + b, N × out, for x N × in, w out × in and b out."""
    if x.rank != 2:
        raise shape_error(f"linear: expected N × features, got {x.type}; flatten it first")
    if w.rank == 2 and x.shape[1] != w.shape[1]:
        raise shape_error(f"linear: {x.shape[1]} input features, but the weight {w.type} expects {w.shape[1]}")
    y = matmul(x, w, transpose_b=True)
    return y if b is None else add(y, b)
