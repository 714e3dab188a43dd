"""Changes of shape that keep the elements in row-major order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import Dim, Node, Shape, Tensor, Type, product, same_size, show
from opsin.ir.arguments import one_or_more
from opsin.ops import sampling
from opsin.ops.registry import Array, Primitive, Sample, register, shape_error


class Reshape(Primitive):
    """x, any shape → `shape` with as many elements. `shape` may hold the free batch."""

    name = "reshape"

    def infer(self, x: Type, *, shape: Shape) -> Type:
        if not same_size(product(x.shape), product(shape)):
            raise ShapeError(
                f"reshape: {show(x.shape)} has {product(x.shape)} elements, {show(shape)} would have {product(shape)}"
            )
        return Type(shape, x.dtype)

    def evaluate(self, x: Array, *, shape: tuple[int, ...]) -> Array:
        return x.reshape(shape)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        return (reshape(g, node.inputs[0].shape),)

    def sample(self, rng: np.random.Generator) -> Sample:
        sizes = sampling.shape(rng, 1)
        split = sampling.between(rng, 0, len(sizes) - 1)
        target = (*sizes[:split], int(np.prod(sizes[split:])), *([1] * sampling.between(rng, 0, 2)))
        x = sampling.normal(rng, sizes)
        if sampling.flip(rng):
            return Sample((x.reshape(target),), {"shape": sizes}, (0,))
        return Sample((x,), {"shape": target}, (0,))


_reshape = register(Reshape())


def reshape(x: Tensor, shape: Sequence[Dim]) -> Tensor:
    """Return the elements of `x` in `shape`. One size may be -1 and is then inferred."""
    target = tuple(shape)
    unknown_axes = [axis for axis, size in enumerate(target) if size == -1]
    if len(unknown_axes) > 1:
        raise shape_error(f"reshape: only one size of {show(target)} may be -1")
    if unknown_axes:
        (axis,) = unknown_axes
        target = (*target[:axis], _missing(x, target, axis), *target[axis + 1 :])
    return x if target == x.shape else _reshape(x, shape=target).output


def _missing(x: Tensor, target: Shape, axis: int) -> Dim:
    rest = product((*target[:axis], *target[axis + 1 :]))
    try:
        size = product(x.shape) // rest
    except (ShapeError, ZeroDivisionError):
        size = -1
    if not same_size(size * rest, product(x.shape)):
        raise shape_error(f"reshape: {show(x.shape)} cannot take the shape {show(target)}")
    return size


def flatten(x: Tensor, start: int = 1) -> Tensor:
    """Merge the axes from `start` on: N × C × H × W → N × C·H·W."""
    if not 0 <= start < max(x.rank, 1):
        raise shape_error(f"flatten: {x.type} has no axis {start}")
    return reshape(x, (*x.shape[:start], product(x.shape[start:])))


def squeeze(x: Tensor, axes: int | Sequence[int] | None = None) -> Tensor:
    """Remove `axes`, which must have size 1; by default every axis of size 1."""
    ones = tuple(axis for axis, size in enumerate(x.shape) if size == 1)
    drop = ones if axes is None else resolve_axes("squeeze", x, axes)
    if not set(drop) <= set(ones):
        raise shape_error(f"squeeze: axes {drop} of {x.type} are not all of size 1")
    return reshape(x, [size for axis, size in enumerate(x.shape) if axis not in drop])


def resolve_axes(name: str, x: Tensor, axes: int | Sequence[int] | None) -> tuple[int, ...]:
    """Return `axes` sorted and counted from the front; `None` means all axes."""
    if axes is None:
        return tuple(range(x.rank))
    checked = one_or_more(f"{name}: an axis", axes)
    axis_arguments: tuple[int, ...] = (checked,) if isinstance(checked, int) else checked
    resolved = tuple(sorted(axis + x.rank if axis < 0 else axis for axis in axis_arguments))
    if len(set(resolved)) != len(resolved) or any(not 0 <= axis < x.rank for axis in resolved):
        raise shape_error(f"{name}: {x.type} has no such axes as {axis_arguments}")
    return resolved
