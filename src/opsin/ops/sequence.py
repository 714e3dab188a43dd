"""Convolution and pooling of sequences N × C × T, as operations on images of one row.

A sequence may also be given as such an image, N × C × 1 × T; the result then is one, too. Reshaping between both moves
no data.
"""

from __future__ import annotations

from opsin.ir import Tensor
from opsin.ops.conv2d import conv2d
from opsin.ops.pool_avg import avg_pool2d, global_avg_pool2d
from opsin.ops.pool_max import global_max_pool2d, max_pool2d
from opsin.ops.registry import shape_error
from opsin.ops.reshape import reshape
from opsin.ops.sliding import Padding, Pair, to_pair


def conv1d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    stride: int = 1,
    padding: int | Pair = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve x N × C × T with w K × C/groups × k and bias b K along T: N × K × T' (Waibel et al. 1989)."""
    if w.rank != 3:
        raise shape_error(f"conv1d: expected a weight filters × channels × taps, got {w.type}")
    row = as_row("conv1d", x)
    weight = reshape(w, (*w.shape[:2], 1, *w.shape[2:]))
    y = conv2d(row, weight, b, (1, stride), _columns("conv1d", padding), (1, dilation), groups)
    return like_sequence(y, x)


def max_pool1d(
    x: Tensor, kernel_size: int, stride: int | None = None, padding: int | Pair = 0, ceil_mode: bool = False
) -> Tensor:
    """Return the maximum of each window of x N × C × T. The default stride is the size of the window."""
    step = kernel_size if stride is None else stride
    y = max_pool2d(as_row("max_pool1d", x), (1, kernel_size), (1, step), _columns("max_pool1d", padding), ceil_mode)
    return like_sequence(y, x)


def avg_pool1d(
    x: Tensor,
    kernel_size: int,
    stride: int | None = None,
    padding: int | Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Return the mean of each window of x N × C × T. The default stride is the size of the window."""
    step = kernel_size if stride is None else stride
    row = as_row("avg_pool1d", x)
    y = avg_pool2d(row, (1, kernel_size), (1, step), _columns("avg_pool1d", padding), ceil_mode, count_include_pad)
    return like_sequence(y, x)


def global_avg_pool1d(x: Tensor) -> Tensor:
    """Return the mean of each channel over time: N × C × T → N × C × 1."""
    return like_sequence(global_avg_pool2d(as_row("global_avg_pool1d", x)), x)


def global_max_pool1d(x: Tensor) -> Tensor:
    """Return the maximum of each channel over time: N × C × T → N × C × 1 (Collobert et al. 2011)."""
    return like_sequence(global_max_pool2d(as_row("global_max_pool1d", x)), x)


def as_row(name: str, x: Tensor) -> Tensor:
    """Return a sequence N × C × T as an image of one row. Raise `ShapeError` if `x` is neither."""
    if x.rank != 3 and not (x.rank == 4 and x.shape[2] == 1):
        raise shape_error(f"{name}: expected a sequence N × channels × time, or an image of one row, got {x.type}")
    return x if x.rank == 4 else reshape(x, (*x.shape[:2], 1, x.shape[2]))


def like_sequence(y: Tensor, x: Tensor) -> Tensor:
    """Return the image `y` of one row in the form of `x`: as a sequence if `x` is one."""
    return y if x.rank == 4 else reshape(y, (*y.shape[:2], y.shape[3]))


def _columns(name: str, padding: int | Pair) -> Padding:
    """Return the padding of an image of one row; `padding` is one number for both ends, or (before, after)."""
    return (0, 0), to_pair(f"{name}: padding", padding)
