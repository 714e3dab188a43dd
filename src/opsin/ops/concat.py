"""Concatenation along an axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import Dim, Node, Tensor, Type
from opsin.ops import sampling
from opsin.ops.registry import Array, Primitive, Sample, register, shape_error
from opsin.ops.reshape import resolve_axes
from opsin.ops.slice_pad import narrow


class Concat(Primitive):
    """x1 … xn, which may differ in the size of `axis` → one tensor, whose size there is the sum of theirs."""

    name = "concat"

    def infer(self, *xs: Type, axis: int) -> Type:
        first = xs[0]
        if not 0 <= axis < len(first.shape):
            raise ShapeError(f"concat: {first} has no axis {axis}")
        for x in xs:
            if x.dtype != first.dtype or _without(x, axis) != _without(first, axis):
                raise ShapeError(f"concat: {first} and {x} may differ only in axis {axis}")
        total: Dim = 0
        for x in xs:
            total = total + x.shape[axis]
        return Type((*first.shape[:axis], total, *first.shape[axis + 1 :]), first.dtype)

    def evaluate(self, *xs: Array, axis: int) -> Array:
        return np.concatenate(xs, axis)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        gradients: list[Tensor] = []
        axis, start = node.attrs["axis"], 0
        for x in node.inputs:
            gradients.append(narrow(g, axis, start, x.shape[axis]))
            start = start + x.shape[axis]
        return gradients

    def sample(self, rng: np.random.Generator) -> Sample:
        shape = sampling.shape(rng, 1)
        axis = sampling.between(rng, 0, len(shape) - 1)
        sizes = [sampling.between(rng, 1, 2 * shape[axis]) for _ in range(sampling.between(rng, 1, 4))]
        xs = tuple(sampling.normal(rng, (*shape[:axis], size, *shape[axis + 1 :])) for size in sizes)
        return Sample(xs, {"axis": axis}, tuple(range(len(xs))))


def _without(x: Type, axis: int) -> tuple[Dim, ...]:
    return (len(x.shape), *x.shape[:axis], *x.shape[axis + 1 :])


_concat = register(Concat())


def concat(xs: Sequence[Tensor], axis: int = 1) -> Tensor:
    """Return `xs` concatenated along `axis`, by default the channels."""
    if not xs:
        raise shape_error("concat: needs at least one tensor")
    (axis_index,) = resolve_axes("concat", xs[0], axis)
    return xs[0] if len(xs) == 1 else _concat(*xs, axis=axis_index).output
