"""Import rules of operators that move elements or return shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from opsin import ops
from opsin.interop.onnx.call import Array, ConstantValue, OnnxCall, UnsupportedError, Value
from opsin.interop.onnx.rules.registry import rule
from opsin.ir import Dim, Size, Tensor, product
from opsin.ops.broadcast import broadcast_shapes
from opsin.ops.pool_dilated import pad_with

MAX_SLICES = 1024
"""Limit of the slices into which one node may cut a tensor."""

MAX_SUBTRACTED_VALUE = 1e4
"""Limit of a padding value that is subtracted from images; a larger one would round their values."""

MAX_GATHER_SIZE = 2**16
"""Limit of the size of an axis from which elements are gathered one by one."""


def size_array(sizes: Sequence[Dim]) -> Array:
    """Return sizes as an array of int64, or of objects if one of them depends on the batch."""
    return np.array(sizes, object if any(isinstance(size, Size) for size in sizes) else np.int64)


def size_of(x: Tensor, axis: int) -> int:
    """Return the size of an axis; raise `UnsupportedError` if it depends on the batch."""
    if not -x.rank <= axis < x.rank:
        raise UnsupportedError(f"its operand {x.type} has no axis {axis}")
    size = x.shape[axis]
    if isinstance(size, Size):
        raise UnsupportedError("it splits the batch of images")
    return size


def take(x: Tensor, axis: int, indices: Sequence[int]) -> Tensor:
    """Return the elements `indices` of `x` along `axis`, as a concatenation of slices.

    Raise `UnsupportedError` if an index is out of range, or if there are too many slices.
    """
    size = size_of(x, axis)
    if max(size, len(indices)) > MAX_GATHER_SIZE:
        raise UnsupportedError(f"it gathers single elements from an axis of size {size:,}")
    if not indices or min(indices) < -size or max(indices) >= size:
        raise UnsupportedError(f"its indices are out of range for an axis of size {size}")
    positions = [index % size for index in indices]
    if positions == list(range(size)):
        return x
    runs = _runs(positions)
    if len(runs) > MAX_SLICES:
        raise UnsupportedError(f"it cuts its operand into {len(runs):,} slices")
    return ops.concat(
        [_slice_axis(x, axis % x.rank, first, last + 1, step) for first, last, step in runs], axis % x.rank
    )


def _runs(positions: list[int]) -> list[tuple[int, int, int]]:
    """Split `positions` greedily into arithmetic progressions with positive steps: (first, last, step) each."""
    runs: list[tuple[int, int, int]] = []
    start = 0
    steps = [after - before for before, after in pairwise(positions)]
    while start < len(positions):
        end = start
        if start < len(steps) and steps[start] > 0:
            while end < len(steps) and steps[end] == steps[start]:
                end += 1
        runs.append((positions[start], positions[end], steps[start] if end > start else 1))
        start = end + 1
    return runs


def _slice_axis(x: Tensor, axis: int, start: int, stop: int, step: int) -> Tensor:
    starts: list[Dim] = [0] * x.rank
    stops, steps = list(x.shape), [1] * x.rank
    starts[axis], stops[axis], steps[axis] = start, stop, step
    return ops.slice(x, starts, stops, steps)


@rule("Shape")
def _shape(call: OnnxCall) -> ConstantValue:
    sizes = call.tensor(0).shape
    first, last = call.attr_int("start", 0), call.attr_int("end", len(sizes))
    return ConstantValue(size_array(sizes[slice(first, last)]), call.node.outputs[0])


@rule("Size")
def _size(call: OnnxCall) -> ConstantValue:
    (count,) = size_array([product(call.tensor(0).shape)])
    return ConstantValue(np.asarray(count), call.node.outputs[0])


@rule("Reshape")
def _reshape(call: OnnxCall) -> Tensor:
    x, allowzero = call.tensor(0), call.attr_int("allowzero", 0)
    shape = call.sizes(1)
    if not allowzero:
        if 0 in shape[x.rank :]:
            raise UnsupportedError(f"it copies a size that its operand {x.type} does not have")
        shape = [x.shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
    return ops.reshape(x, call.free_batch(shape, x))


@rule("Flatten")
def _flatten(call: OnnxCall) -> Tensor:
    x = call.tensor(0)
    axis = call.attr_int("axis", 1)
    axis += x.rank if axis < 0 else 0
    return ops.reshape(x, (product(x.shape[:axis]), product(x.shape[axis:])))


@rule("Transpose")
def _transpose(call: OnnxCall) -> Tensor:
    x = call.tensor(0)
    return compose_transpose(x, call.attr_ints("perm") or tuple(range(x.rank))[::-1])


def compose_transpose(x: Tensor, axes: Sequence[int]) -> Tensor:
    """Return `x` with its axes in this order; two transpositions in a row become one, or none."""
    if x.node.op.name == "transpose" and len(axes) == x.rank:
        inner_axes = x.node.attrs["axes"]
        axes, x = [inner_axes[axis] for axis in axes], x.node.inputs[0]
    return x if list(axes) == list(range(x.rank)) else ops.transpose(x, axes)


@rule("Squeeze")
def _squeeze(call: OnnxCall) -> Tensor:
    return ops.squeeze(call.tensor(0), call.axes(1))


@rule("Unsqueeze")
def _unsqueeze(call: OnnxCall) -> Tensor:
    x = call.tensor(0)
    axes = call.axes(1) or []
    rank = x.rank + len(axes)
    new_axes = {axis % rank for axis in axes if -rank <= axis < rank}
    if len(new_axes) < len(axes):
        raise UnsupportedError(f"it inserts the axes {axes[:8]}")
    sizes = iter(x.shape)
    return ops.reshape(x, [1 if axis in new_axes else next(sizes) for axis in range(rank)])


@rule("Concat")
def _concat(call: OnnxCall) -> Tensor:
    return ops.concat([call.tensor(index) for index in range(len(call))], call.attr_int("axis", 1))


@rule("Split")
def _split(call: OnnxCall) -> list[Value]:
    x, axis = call.tensor(0), call.attr_int("axis", 0)
    size, count = size_of(x, axis), call.attr_int("num_outputs", len(call.node.outputs))
    split = call.axes(1, "split")
    if split is None:
        split = even_split(size, count)
    if sum(split) != size or min(split, default=0) < 1 or len(split) < len(call.node.outputs):
        raise UnsupportedError(f"it splits an axis of size {size} into {split[:8]}")
    ends = np.cumsum(split).tolist()
    return [
        _slice_axis(x, axis % x.rank, end - length, end, 1)
        for end, length, _ in zip(ends, split, call.node.outputs, strict=False)
    ]


def even_split(size: int, count: int) -> list[int]:
    """Return the sizes of `count` equal parts of an axis; the last part may be smaller."""
    if not 0 < count <= size:
        raise UnsupportedError(f"it splits an axis of size {size} into {count:,} parts")
    part_size = -(-size // count)
    return [min(part_size, size - part_size * part) for part in range(count)]


@rule("Slice")
def _slice(call: OnnxCall) -> Tensor:
    x = call.tensor(0)
    starts, axes = call.axes(1, "starts") or [], call.axes(3)
    stops = call.sizes(2) if call.has(2) else list(call.attr_ints("ends", ()) or ())
    axes = list(range(len(starts))) if axes is None else axes
    steps = call.ints(4) if call.has(4) else [1] * len(starts)
    ranges: dict[int, range] = {}
    for axis, start, stop, step in zip(axes, starts, stops, steps, strict=True):
        if _is_whole_axis(x.shape[axis], start, stop, step):
            continue
        if isinstance(stop, Size):
            raise UnsupportedError("it splits the batch of images")
        ranges[axis % x.rank] = range(size_of(x, axis))[start:stop:step]
    return _slice_ranges(x, ranges)


def _slice_ranges(x: Tensor, ranges: Mapping[int, range]) -> Tensor:
    """Return the elements of `x` at these positions of each axis; those of a descending range are gathered."""
    ascending = {axis: positions for axis, positions in ranges.items() if positions and positions.step > 0}
    for axis in ranges.keys() - ascending.keys():
        x = take(x, axis, ranges[axis])
    if not ascending:
        return x
    bounds: dict[int, tuple[Dim, Dim, int]] = {
        axis: (positions.start, positions.stop, positions.step) for axis, positions in ascending.items()
    }
    cuts = [bounds.get(axis, (0, size, 1)) for axis, size in enumerate(x.shape)]
    return ops.slice(x, [start for start, _, _ in cuts], [stop for _, stop, _ in cuts], [step for _, _, step in cuts])


def _is_whole_axis(size: Dim, start: int, stop: Dim, step: int) -> bool:
    """Return whether a slice keeps the whole axis, which may be the batch."""
    return start == 0 and step == 1 and (stop == size or (isinstance(stop, int) and stop >= 2**31 - 1))


@rule("Gather")
def _gather(call: OnnxCall) -> Tensor:
    x, indices = call.tensor(0), call.constant(1)
    axis = call.attr_int("axis", 0)
    if indices.ndim > 1:
        raise UnsupportedError("its indices have several axes")
    y = take(x, axis, call.ints(1))
    return ops.squeeze(y, axis) if indices.ndim == 0 else y


@rule("Expand")
def _expand(call: OnnxCall) -> Tensor:
    x = call.tensor(0)
    shape = tuple(call.free_batch(call.sizes(1), x))
    return ops.broadcast_to(x, broadcast_shapes("Expand", x.shape, shape))


@rule("Tile")
def _tile(call: OnnxCall) -> Tensor:
    x = call.tensor(0)
    repeats = call.ints(1)
    if len(repeats) != x.rank or min(repeats, default=1) < 1:
        raise UnsupportedError(f"it repeats {x.type} {repeats} times")
    for axis, count in enumerate(repeats):
        if count > MAX_SLICES:
            raise UnsupportedError(f"it repeats its operand {count:,} times")
        x = ops.concat([x] * count, axis)
    return x


@rule("DepthToSpace")
def _depth_to_space(call: OnnxCall) -> Tensor:
    x, block, mode = call.tensor(0), call.attr_int("blocksize", 1), call.attr_string("mode", "DCR")
    channels, rows, columns = (size_of(x, axis) for axis in (1, 2, 3))
    depth = channels // max(block * block, 1)
    if mode == "DCR":
        y = ops.transpose(ops.reshape(x, (x.shape[0], block, block, depth, rows, columns)), (0, 3, 4, 1, 5, 2))
    else:
        y = ops.transpose(ops.reshape(x, (x.shape[0], depth, block, block, rows, columns)), (0, 1, 4, 2, 5, 3))
    return ops.reshape(y, (x.shape[0], depth, rows * block, columns * block))


@rule("SpaceToDepth")
def _space_to_depth(call: OnnxCall) -> Tensor:
    x, block, mode = call.tensor(0), max(call.attr_int("blocksize", 1), 1), call.attr_string("mode", "DCR")
    channels, rows, columns = (size_of(x, axis) for axis in (1, 2, 3))
    y = ops.reshape(x, (x.shape[0], channels, rows // block, block, columns // block, block))
    y = ops.transpose(y, (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4))
    return ops.reshape(y, (x.shape[0], channels * block * block, rows // block, columns // block))


@rule("Pad")
def _pad(call: OnnxCall) -> Tensor:
    x, mode = call.tensor(0), call.attr_string("mode", "constant")
    pads = call.axes(1, "pads") or []
    value = call.scalar(2) if call.has(2) else call.attr_float("value", 0.0)
    axes = call.ints(3) if call.has(3) else list(range(x.rank))
    if len(pads) != 2 * len(axes):
        raise UnsupportedError(f"{len(pads)} pads for {len(axes)} axes")
    amounts = {axis % x.rank: pair for axis, *pair in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True)}
    for axis, (low, high) in amounts.items():
        if low < 0 or high < 0:
            x = _slice_ranges(x, {axis: range(size_of(x, axis))[max(0, -low) : size_of(x, axis) + min(0, high)]})
    amounts = {axis: [max(0, low), max(0, high)] for axis, (low, high) in amounts.items() if low > 0 or high > 0}
    if mode != "constant":
        return _pad_from_image(x, mode, amounts)
    if not amounts:
        return x
    low_pads, high_pads = (tuple(amounts.get(axis, [0, 0])[side] for axis in range(x.rank)) for side in (0, 1))
    if not abs(value) < MAX_SUBTRACTED_VALUE:  # Also true for infinity and NaN.
        return pad_with(x, low_pads, high_pads, value)
    return (
        ops.add(ops.pad(ops.subtract(x, value), low_pads, high_pads), value)
        if value
        else ops.pad(x, low_pads, high_pads)
    )


def _pad_from_image(x: Tensor, mode: str, amounts: dict[int, list[int]]) -> Tensor:
    """Pad `x` with its own elements: mode "edge", "reflect" or "wrap". `amounts` has (low, high) for each axis."""
    for axis, (low, high) in amounts.items():
        size = size_of(x, axis)
        if low + size + high > MAX_GATHER_SIZE:
            raise UnsupportedError(f"padding an axis of size {size:,} with {low + high:,} elements")
        positions = np.arange(-low, size + high)
        match mode:
            case "edge":
                positions = positions.clip(0, size - 1)
            case "reflect":
                period = max(2 * size - 2, 1)
                positions = size - 1 - np.abs(positions % period - (size - 1))
            case "wrap":
                positions = positions % size
            case _:
                raise UnsupportedError(f"the padding mode {mode!r}")
        x = take(x, axis, positions.tolist())
    return x
