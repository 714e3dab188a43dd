"""Permutation of axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import Node, Tensor, Type
from opsin.ops.registry import Array, Primitive, Sample, register
from opsin.ops.sampling import normal, shape


class Transpose(Primitive):
    """x, any shape → axis i of the result is axis `axes[i]` of x."""

    name = "transpose"

    def infer(self, x: Type, *, axes: tuple[int, ...]) -> Type:
        if sorted(axes) != list(range(len(x.shape))):
            raise ShapeError(f"transpose: {axes} is not an order of the {len(x.shape)} axes of {x}")
        return Type(tuple(x.shape[axis] for axis in axes), x.dtype)

    def evaluate(self, x: Array, *, axes: tuple[int, ...]) -> Array:
        return x.transpose(axes)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        axes = node.attrs["axes"]
        return (transpose(g, [axes.index(axis) for axis in range(len(axes))]),)

    def sample(self, rng: np.random.Generator) -> Sample:
        sizes = shape(rng)
        return Sample((normal(rng, sizes),), {"axes": tuple(rng.permutation(len(sizes)).tolist())}, (0,))


_transpose = register(Transpose())


def transpose(x: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """Return `x` with its axes in the order `axes`; by default reversed, as in the transpose of a matrix."""
    return _transpose(x, axes=tuple(range(x.rank))[::-1] if axes is None else tuple(axes)).output
