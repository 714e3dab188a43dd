"""Maxima, means and variances over axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opsin.ir import Dim, Node, Size, Tensor, Type, product
from opsin.ops import sampling
from opsin.ops.arithmetic import divide, multiply, subtract
from opsin.ops.broadcast import random_axes, reduce_with, reduced_shape, sum
from opsin.ops.compare import equal
from opsin.ops.registry import Array, Primitive, Sample, need_float, register
from opsin.ops.reshape import resolve_axes


class Max(Primitive):
    """x → the maximum over `axes` (sorted, counted from the front), which are kept with size 1.

    Equal maxima share the gradient evenly.
    """

    name = "max"

    def infer(self, x: Type, *, axes: tuple[int, ...]) -> Type:
        need_float(self.name, x)
        return Type(reduced_shape(self.name, x.shape, axes), x.dtype)

    def evaluate(self, x: Array, *, axes: tuple[int, ...]) -> Array:
        return np.asarray(x.max(axis=axes, keepdims=True))

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        (x,) = node.inputs
        hits = equal(x, node.output)
        count = sum(hits, node.attrs["axes"], keepdims=True)
        return (multiply(hits, divide(g, count)),)

    def sample(self, rng: np.random.Generator) -> Sample:
        x = sampling.distinct(rng, sampling.shape(rng, 1))
        return Sample((x,), {"axes": random_axes(rng, x.ndim)}, (0,))


class Variance(Primitive):
    """x → the biased variance over `axes` (sorted, counted from the front), which are kept with size 1.

    It is a primitive because its gradient is simpler than that of its parts: the terms through the mean cancel.
    """

    name = "variance"

    def infer(self, x: Type, *, axes: tuple[int, ...]) -> Type:
        need_float(self.name, x)
        return Type(reduced_shape(self.name, x.shape, axes), x.dtype)

    def evaluate(self, x: Array, *, axes: tuple[int, ...]) -> Array:
        return np.asarray(x.var(axis=axes, keepdims=True))

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        (x,), axes = node.inputs, node.attrs["axes"]
        count = product(tuple(x.shape[axis] for axis in axes))
        return (multiply(subtract(x, mean(x, axes, keepdims=True)), multiply(multiply(g, inverse(count)), 2.0)),)

    def sample(self, rng: np.random.Generator) -> Sample:
        x = sampling.normal(rng, sampling.shape(rng, 1))
        return Sample((x,), {"axes": random_axes(rng, x.ndim)}, (0,))


_max, _variance = register(Max()), register(Variance())


def max(x: Tensor, axes: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Return the maximum over `axes` (all by default), which are removed, or kept with size 1 if `keepdims`."""
    return reduce_with(_max, x, axes, keepdims)


def mean(x: Tensor, axes: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Return the mean over `axes` (all by default), which are removed, or kept with size 1 if `keepdims`."""
    count = product(tuple(x.shape[axis] for axis in resolve_axes("mean", x, axes)))
    total = sum(x, axes, keepdims)
    return total if count == 1 else multiply(total, inverse(count))


def variance(x: Tensor, axes: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Return the biased variance over `axes`: the mean squared distance from the mean."""
    has_one_element = all(x.shape[axis] == 1 for axis in resolve_axes("variance", x, axes))
    return reduce_with(_variance, multiply(x, 0.0) if has_one_element else x, axes, keepdims)


def inverse(count: Dim) -> float | Size:
    """Return 1 / count."""
    return count.inverse() if isinstance(count, Size) else 1.0 / count
