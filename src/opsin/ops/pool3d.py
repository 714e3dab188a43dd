"""Pooling of clips N × C × T × H × W: of their frames, and then over time.

A window of clips is the product of one over frames and one in time, and so are its maximum and its mean. The first of
equal maxima is that of a single pass over time, rows and columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from opsin.ir import Tensor
from opsin.ops.conv3d import clip, to_triple
from opsin.ops.pool_avg import avg_pool2d, global_avg_pool2d
from opsin.ops.pool_max import max_pool2d
from opsin.ops.reshape import reshape
from opsin.ops.transpose import transpose

TIME_FIRST = (0, 2, 1, 3, 4)
"""From N × C × T × H × W to N × T × C × H × W, and back."""


def max_pool3d(
    x: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
) -> Tensor:
    """Return the maximum of each window of x N × C × T × H × W. The default stride is the size of the window.

    Sizes are one number for all axes, or (time, rows, columns).
    """
    return _pool("max_pool3d", max_pool2d, x, kernel_size, stride, padding, ceil_mode=ceil_mode)


def avg_pool3d(
    x: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Return the mean of each window of x N × C × T × H × W; arguments are those of `max_pool3d`."""
    name, options = "avg_pool3d", {"ceil_mode": ceil_mode, "count_include_pad": count_include_pad}
    return _pool(name, avg_pool2d, x, kernel_size, stride, padding, **options)


def global_avg_pool3d(x: Tensor) -> Tensor:
    """Return the mean of each channel: N × C × T × H × W → N × C × 1 × 1 × 1."""
    clip("global_avg_pool3d", x.type)
    return over_time(x, global_avg_pool2d, (1, 1))


def _pool(
    name: str,
    pool: Callable[..., Tensor],
    x: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None,
    padding: int | Sequence[int],
    **options: Any,
) -> Tensor:
    """Apply a pooling of images to frames, and to columns of pixels over time."""
    clip(name, x.type)
    time, *frame = to_triple(f"{name}: kernel_size", kernel_size)
    step_time, *step = to_triple(f"{name}: stride", kernel_size if stride is None else stride)
    pad_time, *pad = to_triple(f"{name}: padding", padding)
    if (frame, step, pad) != ([1, 1], [1, 1], [0, 0]):
        x = over_frames(x, lambda images: pool(images, tuple(frame), tuple(step), tuple(pad), **options))
    if (time, step_time, pad_time) == (1, 1, 0):
        return x
    return over_time(x, lambda columns: pool(columns, (time, 1), (step_time, 1), (pad_time, 0), **options))


def over_frames(x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply a function of images N·T × C × H × W to the frames of clips; it may change channels, rows and columns."""
    batch, channels, time, rows, columns = x.shape
    y = function(reshape(transpose(x, TIME_FIRST), (batch * time, channels, rows, columns)))
    return transpose(reshape(y, (batch, time, *y.shape[1:])), TIME_FIRST)


def over_time(x: Tensor, function: Callable[[Tensor], Tensor], frame: tuple[int, int] | None = None) -> Tensor:
    """Apply a function of images N × C × T × H·W to clips; it may change channels and times, and frames to `frame`."""
    batch, channels, time, rows, columns = x.shape
    y = function(reshape(x, (batch, channels, time, rows * columns)))
    return reshape(y, (*y.shape[:3], *(frame or (rows, columns))))
