"""Operators that move elements, and those that ask for shapes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from opsin import ops
from opsin.interop.onnx.call import Array, ConstantValue, OnnxCall, Unsupported, Value
from opsin.interop.onnx.rules.table import rule
from opsin.ir import Dim, Size, Tensor, product
from opsin.ops.broadcast import broadcast_shapes
from opsin.ops.pool_dilated import pad_with

MOST_RUNS = 1024
"""So many pieces one node may cut a tensor into."""
LARGE = 1e4
"""Numbers so large that those of images would be rounded, if it were subtracted from them."""
MOST_PLACES = 2**16
"""So many places of an axis may be taken one by one."""


def known_sizes(sizes: Sequence[Dim]) -> Array:
    """Sizes as an array: of whole numbers, or of objects where one depends on the batch."""
    return np.array(sizes, object if any(isinstance(size, Size) for size in sizes) else np.int64)


def size_of(x: Tensor, axis: int) -> int:
    """The size of an axis, which must not depend on the batch."""
    if not -x.rank <= axis < x.rank:
        raise Unsupported(f"its operand {x.type} has no axis {axis}")
    size = x.shape[axis]
    if isinstance(size, Size):
        raise Unsupported("it takes apart the batch of images")
    return size


def take(x: Tensor, axis: int, indices: Sequence[int]) -> Tensor:
    """The places `indices` of `x` along `axis`, cut out in runs of equal steps."""
    size = size_of(x, axis)
    if max(size, len(indices)) > MOST_PLACES:
        raise Unsupported(f"it takes places one by one from an axis of {size:,}")
    if not indices or min(indices) < -size or max(indices) >= size:
        raise Unsupported(f"it asks for places that an axis of {size} does not have")
    places = [index % size for index in indices]
    if places == list(range(size)):
        return x
    cuts = _runs(places)
    if len(cuts) > MOST_RUNS:
        raise Unsupported(f"it cuts its operand into {len(cuts):,} pieces")
    return ops.concat([_cut(x, axis % x.rank, first, last + 1, step) for first, last, step in cuts], axis % x.rank)


def _runs(places: list[int]) -> list[tuple[int, int, int]]:
    """(first, last, step) of pieces that grow by equal steps, as few as a look ahead by one finds."""
    cuts: list[tuple[int, int, int]] = []
    start = 0
    steps = [after - before for before, after in pairwise(places)]
    while start < len(places):
        end = start
        if start < len(steps) and steps[start] > 0:
            while end < len(steps) and steps[end] == steps[start]:
                end += 1
        cuts.append((places[start], places[end], steps[start] if end > start else 1))
        start = end + 1
    return cuts


def _cut(x: Tensor, axis: int, start: int, stop: int, step: int) -> Tensor:
    starts: list[Dim] = [0] * x.rank
    stops, steps = list(x.shape), [1] * x.rank
    starts[axis], stops[axis], steps[axis] = start, stop, step
    return ops.slice(x, starts, stops, steps)


@rule("Shape")
def _shape(call: OnnxCall) -> ConstantValue:
    sizes = call.tensor(0).shape
    first, last = call.whole("start", 0), call.whole("end", len(sizes))
    return ConstantValue(known_sizes(sizes[slice(first, last)]), call.node.outputs[0])


@rule("Size")
def _size(call: OnnxCall) -> ConstantValue:
    (count,) = known_sizes([product(call.tensor(0).shape)])
    return ConstantValue(np.asarray(count), call.node.outputs[0])


@rule("Reshape")
def _reshape(call: OnnxCall) -> Tensor:
    x, zero_means_none = call.tensor(0), call.whole("allowzero", 0)
    shape = call.sizes(1)
    if not zero_means_none:
        if 0 in shape[x.rank :]:
            raise Unsupported(f"it keeps a size that its operand {x.type} does not have")
        shape = [x.shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
    return ops.reshape(x, call.batched(shape, x))


@rule("Flatten")
def _flatten(call: OnnxCall) -> Tensor:
    x = call.tensor(0)
    axis = call.whole("axis", 1)
    axis += x.rank if axis < 0 else 0
    return ops.reshape(x, (product(x.shape[:axis]), product(x.shape[axis:])))


@rule("Transpose")
def _transpose(call: OnnxCall) -> Tensor:
    x = call.tensor(0)
    return transposed(x, call.wholes("perm") or tuple(range(x.rank))[::-1])


def transposed(x: Tensor, axes: Sequence[int]) -> Tensor:
    """`x` with its axes in this order; two transpositions in a row become one, or none."""
    if x.node.op.name == "transpose" and len(axes) == x.rank:
        before = x.node.attrs["axes"]
        axes, x = [before[axis] for axis in axes], x.node.inputs[0]
    return x if list(axes) == list(range(x.rank)) else ops.transpose(x, axes)


@rule("Squeeze")
def _squeeze(call: OnnxCall) -> Tensor:
    return ops.squeeze(call.tensor(0), call.axes(1))


@rule("Unsqueeze")
def _unsqueeze(call: OnnxCall) -> Tensor:
    x = call.tensor(0)
    axes = call.axes(1) or []
    rank = x.rank + len(axes)
    new = {axis % rank for axis in axes if -rank <= axis < rank}
    if len(new) < len(axes):
        raise Unsupported(f"it inserts the axes {axes[:8]}")
    old = iter(x.shape)
    return ops.reshape(x, [1 if axis in new else next(old) for axis in range(rank)])


@rule("Concat")
def _concat(call: OnnxCall) -> Tensor:
    return ops.concat([call.tensor(index) for index in range(len(call))], call.whole("axis", 1))


@rule("Split")
def _split(call: OnnxCall) -> list[Value]:
    x, axis = call.tensor(0), call.whole("axis", 0)
    size, count = size_of(x, axis), call.whole("num_outputs", len(call.node.outputs))
    given = call.axes(1, "split")
    if given is None:
        given = shares(size, count)
    if sum(given) != size or min(given, default=0) < 1 or len(given) < len(call.node.outputs):
        raise Unsupported(f"it divides an axis of {size} into {given[:8]}")
    ends = np.cumsum(given).tolist()
    return [
        _cut(x, axis % x.rank, end - length, end, 1)
        for end, length, _ in zip(ends, given, call.node.outputs, strict=False)
    ]


def shares(size: int, count: int) -> list[int]:
    """`size` in `count` equal parts, the last being what is left."""
    if not 0 < count <= size:
        raise Unsupported(f"it divides an axis of {size} into {count:,} parts")
    share = -(-size // count)
    return [min(share, size - share * part) for part in range(count)]


@rule("Slice")
def _slice(call: OnnxCall) -> Tensor:
    x = call.tensor(0)
    starts, axes = call.axes(1, "starts") or [], call.axes(3)
    stops = call.sizes(2) if call.has(2) else list(call.wholes("ends", ()) or ())
    axes = list(range(len(starts))) if axes is None else axes
    steps = call.numbers(4) if call.has(4) else [1] * len(starts)
    for axis, start, stop, step in zip(axes, starts, stops, steps, strict=True):
        if _whole_axis(x.shape[axis], start, stop, step):
            continue
        if isinstance(stop, Size):
            raise Unsupported("it takes apart the batch of images")
        x = _ranged(x, axis, range(size_of(x, axis))[start:stop:step])
    return x


def _ranged(x: Tensor, axis: int, places: range) -> Tensor:
    """The places of `x` along `axis`; those that go backwards one by one."""
    if places and places.step > 0:
        return _cut(x, axis % x.rank, places[0], places[-1] + 1, places.step)
    return take(x, axis, places)


def _whole_axis(size: Dim, start: int, stop: Dim, step: int) -> bool:
    """Whether nothing is cut off, even if the axis is the batch."""
    return start == 0 and step == 1 and (stop == size or (isinstance(stop, int) and stop >= 2**31 - 1))


@rule("Gather")
def _gather(call: OnnxCall) -> Tensor:
    x, indices = call.tensor(0), call.known(1)
    axis = call.whole("axis", 0)
    if indices.ndim > 1:
        raise Unsupported("its indices have several axes")
    y = take(x, axis, call.numbers(1))
    return ops.squeeze(y, axis) if indices.ndim == 0 else y


@rule("Expand")
def _expand(call: OnnxCall) -> Tensor:
    x = call.tensor(0)
    shape = tuple(call.batched(call.sizes(1), x))
    return ops.broadcast_to(x, broadcast_shapes("Expand", x.shape, shape))


@rule("Tile")
def _tile(call: OnnxCall) -> Tensor:
    x = call.tensor(0)
    repeats = call.numbers(1)
    if len(repeats) != x.rank or min(repeats, default=1) < 1:
        raise Unsupported(f"it repeats {x.type} {repeats} times")
    for axis, count in enumerate(repeats):
        if count > MOST_RUNS:
            raise Unsupported(f"it repeats its operand {count:,} times")
        x = ops.concat([x] * count, axis)
    return x


@rule("DepthToSpace")
def _depth_to_space(call: OnnxCall) -> Tensor:
    x, block, mode = call.tensor(0), call.whole("blocksize", 1), call.text("mode", "DCR")
    channels, rows, columns = (size_of(x, axis) for axis in (1, 2, 3))
    depth = channels // max(block * block, 1)
    if mode == "DCR":
        y = ops.transpose(ops.reshape(x, (x.shape[0], block, block, depth, rows, columns)), (0, 3, 4, 1, 5, 2))
    else:
        y = ops.transpose(ops.reshape(x, (x.shape[0], depth, block, block, rows, columns)), (0, 1, 4, 2, 5, 3))
    return ops.reshape(y, (x.shape[0], depth, rows * block, columns * block))


@rule("SpaceToDepth")
def _space_to_depth(call: OnnxCall) -> Tensor:
    x, block, mode = call.tensor(0), max(call.whole("blocksize", 1), 1), call.text("mode", "DCR")
    channels, rows, columns = (size_of(x, axis) for axis in (1, 2, 3))
    y = ops.reshape(x, (x.shape[0], channels, rows // block, block, columns // block, block))
    y = ops.transpose(y, (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4))
    return ops.reshape(y, (x.shape[0], channels * block * block, rows // block, columns // block))


@rule("Pad")
def _pad(call: OnnxCall) -> Tensor:
    x, mode = call.tensor(0), call.text("mode", "constant")
    pads = call.axes(1, "pads") or []
    value = call.scalar(2) if call.has(2) else call.real("value", 0.0)
    axes = call.numbers(3) if call.has(3) else list(range(x.rank))
    if len(pads) != 2 * len(axes):
        raise Unsupported(f"{len(pads)} pads for {len(axes)} axes")
    amounts = {axis % x.rank: pair for axis, *pair in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True)}
    for axis, (low, high) in amounts.items():
        if low < 0 or high < 0:
            x = _ranged(x, axis, range(size_of(x, axis))[max(0, -low) : size_of(x, axis) + min(0, high)])
    amounts = {axis: [max(0, low), max(0, high)] for axis, (low, high) in amounts.items() if low > 0 or high > 0}
    if mode != "constant":
        return _mirrored(x, mode, amounts)
    if not amounts:
        return x
    before, behind = (tuple(amounts.get(axis, [0, 0])[end] for axis in range(x.rank)) for end in (0, 1))
    if not abs(value) < LARGE:  # or infinite, or not a number
        return pad_with(x, before, behind, value)
    return ops.add(ops.pad(ops.subtract(x, value), before, behind), value) if value else ops.pad(x, before, behind)


def _mirrored(x: Tensor, mode: str, amounts: dict[int, list[int]]) -> Tensor:
    """Padding with what is there: the edge, what lies behind it, or the other side."""
    for axis, (low, high) in amounts.items():
        size = size_of(x, axis)
        if low + size + high > MOST_PLACES:
            raise Unsupported(f"padding {size:,} places of the image by {low + high:,} of its own")
        places = np.arange(-low, size + high)
        match mode:
            case "edge":
                places = places.clip(0, size - 1)
            case "reflect":
                period = max(2 * size - 2, 1)
                places = size - 1 - np.abs(places % period - (size - 1))
            case "wrap":
                places = places % size
            case _:
                raise Unsupported(f"padding of the kind {mode!r}")
        x = take(x, axis, places.tolist())
    return x
