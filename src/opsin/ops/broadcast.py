"""Broadcasting and summation: each is the gradient of the other.

Shapes are matched from the last axis, as in NumPy; an axis of size 1, or a missing axis, is repeated.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import Dim, Node, Shape, Tensor, Type, show
from opsin.ops import sampling
from opsin.ops.registry import Array, Primitive, Sample, need_float, register
from opsin.ops.reshape import reshape, resolve_axes


def broadcast_shapes(name: str, *shapes: Shape) -> Shape:
    """Return the shape to which all `shapes` broadcast. Raise `ShapeError` if two sizes do not match."""
    longest_shape = max(shapes, key=len)
    if all(shape == longest_shape or not shape for shape in shapes):
        return longest_shape
    rank = len(longest_shape)
    result: list[Dim] = [1] * rank
    for shape in shapes:
        for axis, size in enumerate(shape, rank - len(shape)):
            if size != 1 and result[axis] not in (1, size):
                all_shapes = " and ".join(show(s) for s in shapes)
                raise ShapeError(
                    f"{name}: {all_shapes} do not match; counted from the last axis, sizes must agree or be 1"
                )
            if size != 1:
                result[axis] = size
    return tuple(result)


def repeated_axes(operand_shape: Shape, shape: Shape) -> tuple[int, ...]:
    """Return the axes of `shape` along which `operand_shape` is repeated."""
    extra = len(shape) - len(operand_shape)
    stretched_axes = (extra + axis for axis, size in enumerate(operand_shape) if size == 1 and shape[extra + axis] != 1)
    return (*range(extra), *stretched_axes)


def random_operand(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a random shape that broadcasts to `shape`."""
    drop = sampling.between(rng, 0, len(shape)) if sampling.flip(rng, 0.3) else 0
    return tuple(1 if sampling.flip(rng, 0.25) else size for size in shape[drop:])


class BroadcastTo(Primitive):
    """x → `shape`, by repeating axes of size 1 and missing leading axes."""

    name = "broadcast_to"

    def infer(self, x: Type, *, shape: Shape) -> Type:
        if len(x.shape) > len(shape) or broadcast_shapes(self.name, x.shape, shape) != shape:
            raise ShapeError(f"broadcast_to: {show(x.shape)} cannot be repeated to {show(shape)}")
        return Type(shape, x.dtype)

    def evaluate(self, x: Array, *, shape: tuple[int, ...]) -> Array:
        return np.broadcast_to(x, shape)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        return (sum_to(g, node.inputs[0].shape),)

    def sample(self, rng: np.random.Generator) -> Sample:
        shape = sampling.shape(rng)
        return Sample((sampling.normal(rng, random_operand(rng, shape)),), {"shape": shape}, (0,))


class Sum(Primitive):
    """x → the sum over `axes` (sorted, counted from the front), which are kept with size 1."""

    name = "sum"

    def infer(self, x: Type, *, axes: tuple[int, ...]) -> Type:
        need_float(self.name, x)
        return Type(reduced_shape(self.name, x.shape, axes), x.dtype)

    def evaluate(self, x: Array, *, axes: tuple[int, ...]) -> Array:
        return np.asarray(x.sum(axis=axes, keepdims=True))

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        return (broadcast_to(g, node.inputs[0].shape),)

    def sample(self, rng: np.random.Generator) -> Sample:
        x = sampling.normal(rng, sampling.shape(rng, 1))
        return Sample((x,), {"axes": random_axes(rng, x.ndim)}, (0,))


def reduced_shape(name: str, shape: Shape, axes: tuple[int, ...]) -> Shape:
    """Return `shape` with the sizes of `axes` set to 1. Raise `ShapeError` if the axes are not valid."""
    if axes != tuple(sorted(set(axes))) or any(not 0 <= axis < len(shape) for axis in axes):
        raise ShapeError(f"{name}: {show(shape)} has no such axes as {axes}; give them sorted, counted from the front")
    return tuple(1 if axis in axes else size for axis, size in enumerate(shape))


def random_axes(rng: np.random.Generator, rank: int) -> tuple[int, ...]:
    """Return one or more of `rank` axes, sorted."""
    count = sampling.between(rng, 1, rank)
    return tuple(sorted(rng.permutation(rank)[:count].tolist()))


_broadcast_to = register(BroadcastTo())
_sum = register(Sum())


def broadcast_to(x: Tensor, shape: Shape) -> Tensor:
    """Return `x` broadcast to `shape`, by NumPy's rules."""
    return x if x.shape == shape else _broadcast_to(x, shape=shape).output


def sum(x: Tensor, axes: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Return the sum over `axes` (all by default), which are removed, or kept with size 1 if `keepdims`."""
    return reduce_with(_sum, x, axes, keepdims)


def reduce_with(op: Primitive, x: Tensor, axes: int | Sequence[int] | None, keepdims: bool) -> Tensor:
    """Apply the reduction `op` to the `axes` with more than one element, then remove the axes unless `keepdims`."""
    resolved_axes = resolve_axes(op.name, x, axes)
    reduced_axes = tuple(axis for axis in resolved_axes if x.shape[axis] != 1)
    y = op(x, axes=reduced_axes).output if reduced_axes else x
    return y if keepdims else reshape(y, [size for axis, size in enumerate(y.shape) if axis not in resolved_axes])


def sum_to(g: Tensor, shape: Shape) -> Tensor:
    """Return `g` summed over every axis along which `shape` was repeated: the gradient of broadcasting."""
    return reshape(sum(g, repeated_axes(shape, g.shape), keepdims=True), shape)
