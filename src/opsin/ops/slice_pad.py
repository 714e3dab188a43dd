"""Slicing and padding: each is the gradient of the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import INT8, Dim, Node, Shape, Tensor, Type, same_size
from opsin.ops import sampling
from opsin.ops.registry import Array, Primitive, Sample, register
from opsin.ops.reshape import resolve_axes

Steps = tuple[int, ...]


class Slice(Primitive):
    """x → every `steps`-th element from `starts` to `stops` (exclusive) along each axis.

    Along a free axis, starts and stops may contain the batch; steps other than 1 need a known size.
    """

    name = "slice"

    def infer(self, x: Type, *, starts: Shape, stops: Shape, steps: Steps) -> Type:
        if not len(starts) == len(stops) == len(steps) == len(x.shape):
            raise ShapeError(f"slice: {x} needs a start, a stop and a step for each of its {len(x.shape)} axes")
        return Type(tuple(map(_slice_size, x.shape, starts, stops, steps)), x.dtype)

    def evaluate(self, x: Array, *, starts: Steps, stops: Steps, steps: Steps) -> Array:
        return x[tuple(np.s_[a:b:step] for a, b, step in zip(starts, stops, steps, strict=True))]

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        starts, steps = node.attrs["starts"], node.attrs["steps"]
        extents = [_extent(size, step - 1) for size, step in zip(g.shape, steps, strict=True)]
        high = [minus(minus(x, start), c) for x, start, c in zip(node.inputs[0].shape, starts, extents, strict=True)]
        return (pad(g, starts, high, [step - 1 for step in steps]),)

    def sample(self, rng: np.random.Generator) -> Sample:
        shape = sampling.shape(rng)
        cuts = [_random_cut(rng, size) if sampling.flip(rng) else (0, size, 1) for size in shape]
        starts, stops, steps = zip(*cuts, strict=True) if cuts else ((), (), ())
        return Sample((sampling.normal(rng, shape),), {"starts": starts, "stops": stops, "steps": steps}, (0,))


class Pad(Primitive):
    """x → x with zeros around it (`low` before, `high` after, by axis) and `interior` zeros between its elements.

    Another `value` than zero stands for 0 in a quantized tensor (see `opsin.ops.quantized`).
    Along a free axis, `low` and `high` may contain the batch, and `interior` is 0.
    """

    name = "pad"

    def infer(self, x: Type, *, low: Shape, high: Shape, interior: Steps, value: int = 0) -> Type:
        if x.dtype != INT8 and value != 0:
            raise ShapeError(f"pad: {x} is padded with zeros, not with {value}")
        if not len(low) == len(high) == len(interior) == len(x.shape):
            raise ShapeError(f"pad: {x} needs three numbers for each of its {len(x.shape)} axes")
        if any(isinstance(count, int) and count < 0 for count in (*low, *high, *interior)):
            raise ShapeError(f"pad: negative padding of {x} (low {low}, high {high}, interior {interior}); use slice")
        inner = map(_extent, x.shape, interior)
        return Type(tuple(before + size + after for before, size, after in zip(low, inner, high, strict=True)), x.dtype)

    def evaluate(self, x: Array, *, low: Steps, high: Steps, interior: Steps, value: int = 0) -> Array:
        inner = [size + (size - 1) * gap for size, gap in zip(x.shape, interior, strict=True)]
        y = np.full([a + size + b for a, size, b in zip(low, inner, high, strict=True)], value, x.dtype)
        y[tuple(np.s_[a : a + size : gap + 1] for a, size, gap in zip(low, inner, interior, strict=True))] = x
        return y

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        low, interior = node.attrs["low"], node.attrs["interior"]
        inner = map(_extent, node.inputs[0].shape, interior)
        stops = [start + size for start, size in zip(low, inner, strict=True)]
        return (slice(g, low, stops, [gap + 1 for gap in interior]),)

    def sample(self, rng: np.random.Generator) -> Sample:
        x = sampling.normal(rng, sampling.shape(rng, 0, 3))
        low, high, interior = (tuple(sampling.between(rng, 0, 3) for _ in x.shape) for _ in range(3))
        return Sample((x,), {"low": low, "high": high, "interior": interior}, (0,))


def minus(a: Dim, b: Dim) -> Dim:
    """Return a - b for sizes that may depend on the batch."""
    return 0 if same_size(a, b) else a + -1 * b


def _extent(size: Dim, gap: int) -> Dim:
    """Return the extent of `size` elements with `gap` elements between neighbours."""
    return size if gap == 0 else minus(size * (gap + 1), gap)


def _slice_size(size: Dim, start: Dim, stop: Dim, step: int) -> Dim:
    fits = step > 0
    if isinstance(size, int) and isinstance(start, int) and isinstance(stop, int):
        fits = fits and 0 <= start < stop <= size
    length = minus(stop, start) if fits else 0
    if length == 0 or not fits:
        raise ShapeError(f"slice: {start}:{stop}:{step} does not cut anything out of an axis of {size}")
    if step == 1:
        return length
    return minus(length, 1 - step) // step


def _random_cut(rng: np.random.Generator, size: int) -> tuple[int, int, int]:
    """Return a start, a stop after it, and a step for an axis of `size`."""
    start = sampling.between(rng, 0, size - 1)
    return start, sampling.between(rng, start + 1, size), sampling.between(rng, 1, 3)


_slice = register(Slice())
_pad = register(Pad())


def slice(x: Tensor, starts: Sequence[Dim], stops: Sequence[Dim], steps: Sequence[int] | None = None) -> Tensor:
    """Return every `steps`-th element (all by default) from `starts` to `stops` (exclusive) along each axis."""
    by = (1,) * x.rank if steps is None else tuple(steps)
    return _slice(x, starts=tuple(starts), stops=tuple(stops), steps=by).output


def narrow(x: Tensor, axis: int, start: Dim, length: Dim) -> Tensor:
    """Return `length` elements of `x` along `axis`, from `start` on."""
    (axis_index,) = resolve_axes("narrow", x, axis)
    starts = [start if axis == axis_index else 0 for axis in range(x.rank)]
    stops = [start + length if axis == axis_index else size for axis, size in enumerate(x.shape)]
    return slice(x, starts, stops)


def pad(x: Tensor, low: Sequence[Dim], high: Sequence[Dim], interior: Sequence[int] | None = None) -> Tensor:
    """Pad `x` with zeros: `low` before and `high` after, by axis, and `interior` between neighbours (default 0)."""
    between = (0,) * x.rank if interior is None else tuple(interior)
    return _pad(x, low=tuple(low), high=tuple(high), interior=between).output
