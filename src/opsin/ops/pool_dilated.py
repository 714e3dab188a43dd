"""Dilated pooling, composed of slices: along the rows first, then along the columns.

Of equal numbers in a window, the first in row-major order gets the gradient, as in `max_pool2d` and in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import Tensor, current_scope
from opsin.ops.arithmetic import add, divide
from opsin.ops.broadcast import broadcast_to
from opsin.ops.constant import constant
from opsin.ops.extrema import maximum
from opsin.ops.registry import shape_error
from opsin.ops.slice_pad import pad, slice
from opsin.ops.sliding import Padding, Pair, Sliding, image, times
from opsin.ops.where import where

Combine = Callable[[Tensor, Tensor], Tensor]
"""From the numbers under two taps to one."""


def dilated_max(x: Tensor, slide: Sliding) -> Tensor:
    """Return the maximum under the taps of each window of `slide`; padding is never the maximum."""
    return _taps(pad_with(x, *_frame(slide), -np.inf), slide, maximum)


def dilated_mean(x: Tensor, slide: Sliding, count_include_pad: bool) -> Tensor:
    """Return the mean under the taps of each window, by the rules of `avg_pool2d`."""
    total = dilated_sum(x, slide)
    (top, bottom), (left, right) = slide.padding if count_include_pad else ((0, 0), (0, 0))
    ones = _ones(slide.size[0] + top + bottom, slide.size[1] + left + right)
    low, high = _frame(slide)
    before = (0, 0, low[2] - top, low[3] - left)
    high_padding = (0, 0, max(0, high[2] - bottom), max(0, high[3] - right))
    return divide(total, _taps(pad(ones, before, high_padding), slide, add))


def dilated_sum(x: Tensor, slide: Sliding) -> Tensor:
    """Return the sum under the taps of each window; padding is 0."""
    return _taps(pad(x, *_frame(slide)), slide, add)


def window_of(
    name: str, x: Tensor, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair, ceil: bool
) -> Sliding:
    """Return a validated window: every position of it overlaps the image."""
    slide = Sliding(image(name, x.type)[2], kernel, stride, padding, dilation, ceil)
    try:
        slide.check(name)
    except ShapeError as error:
        error.in_layer(current_scope())
        raise
    if any(max(pads) >= extent for pads, extent in zip(padding, slide.extent, strict=True)):
        raise shape_error(f"{name}: padding {padding} must be smaller than the window {times(slide.extent)}")
    return slide


def pad_with(x: Tensor, low: tuple[int, ...], high: tuple[int, ...], value: float) -> Tensor:
    """Pad x with `value`, which may be infinite: `low` numbers before and `high` after, by axis."""
    if not any((*low, *high)):
        return x
    axes = [axis for axis in range(x.rank) if low[axis] or high[axis]]
    inside = broadcast_to(constant(1.0), tuple(size if a in axes else 1 for a, size in enumerate(x.shape)))
    return where(pad(inside, low, high), pad(x, low, high), value)


def _frame(slide: Sliding) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the padding that the windows need before and after the image, by axis."""
    (h, w), ((top, _), (left, _)), (rows, columns) = slide.size, slide.padding, slide.need
    return (0, 0, top, left), (0, 0, max(0, rows - top - h), max(0, columns - left - w))


def _ones(rows: int, columns: int) -> Tensor:
    return broadcast_to(constant(1.0), (1, 1, rows, columns))


def _taps(x: Tensor, slide: Sliding, combine: Combine) -> Tensor:
    for axis, kernel, step, gap, out in zip(
        (3, 2), slide.kernel[::-1], slide.stride[::-1], slide.dilation[::-1], slide.out[::-1], strict=True
    ):
        x = reduce(combine, [_every(x, axis, tap * gap, step, out) for tap in range(kernel)])
    return x


def _every(x: Tensor, axis: int, start: int, step: int, count: int) -> Tensor:
    """Return `count` positions of x along `axis`, from `start` on, `step` apart."""
    starts, stops, steps = [0] * x.rank, list(x.shape), [1] * x.rank
    starts[axis], stops[axis], steps[axis] = start, start + (count - 1) * step + 1, step
    return slice(x, starts, stops, steps)
