"""Sliding windows over images: the size arithmetic of convolution and pooling.

A window of `kernel` taps, `dilation` apart, moves by `stride` over an image with `padding` around it (Dumoulin & Visin,
"A guide to convolution arithmetic for deep learning", 2016).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import Dim, Node, Type
from opsin.ir.arguments import called, one_or_more
from opsin.ops import sampling
from opsin.ops.registry import Array, need_float, shape_error

Pair: TypeAlias = "tuple[int, int]"
"""Rows and columns."""
Padding: TypeAlias = "tuple[Pair, Pair]"
"""((top, bottom), (left, right))."""

Scale: TypeAlias = "float | tuple[float, float]"
"""Whole factors for rows and columns."""


@dataclass(frozen=True)
class Sliding:
    """A window over an image of `size`; the result has the size `out`."""

    size: Pair
    kernel: Pair
    stride: Pair
    padding: Padding
    dilation: Pair = (1, 1)
    ceil_mode: bool = False

    @property
    def extent(self) -> Pair:
        """The rows and columns that the window covers, including gaps."""
        (kh, kw), (dh, dw) = self.kernel, self.dilation
        return (kh - 1) * dh + 1, (kw - 1) * dw + 1

    @property
    def window(self) -> tuple[Pair, Pair]:
        """(extent, stride) by rows and columns."""
        return (self.extent[0], self.stride[0]), (self.extent[1], self.stride[1])

    @property
    def out(self) -> Pair:
        """The number of positions of the window, by rows and columns."""
        return self._positions(0), self._positions(1)

    def _positions(self, axis: int) -> int:
        size, stride, (low, high) = self.size[axis], self.stride[axis], self.padding[axis]
        steps = size + low + high - self.extent[axis]
        if not self.ceil_mode:
            return steps // stride + 1
        positions = -(-steps // stride) + 1
        return positions - 1 if (positions - 1) * stride >= size + low else positions  # none starts in the far padding

    @property
    def need(self) -> Pair:
        """The padded size that the windows cover: less than the padded image, or more in `ceil_mode`."""
        (oh, ow), (sh, sw), (eh, ew) = self.out, self.stride, self.extent
        return (oh - 1) * sh + eh, (ow - 1) * sw + ew

    def check(self, name: str) -> Sliding:
        """Return the window itself. Raise `ShapeError` if its sizes are not valid."""
        if min(*self.size, *self.kernel, *self.stride, *self.dilation) < 1:
            raise ShapeError(
                f"{name}: image {times(self.size)}, kernel {times(self.kernel)}, stride {times(self.stride)} "
                f"and dilation {times(self.dilation)} must all be at least 1"
            )
        if min(*self.padding[0], *self.padding[1]) < 0:
            raise ShapeError(f"{name}: padding {self.padding} must not be negative; use slice to crop")
        if min(self.out) < 1:
            (top, bottom), (left, right) = self.padding
            padded = (self.size[0] + top + bottom, self.size[1] + left + right)
            dilated = "" if self.extent == self.kernel else f" (dilated to {times(self.extent)})"
            raise ShapeError(
                f"{name}: kernel {times(self.kernel)}{dilated} is larger than the padded input {times(padded)}; "
                "add padding or feed larger images"
            )
        return self

    def check_pool(self, name: str) -> Sliding:
        """Return the window itself. Raise `ShapeError` as `check` does, or if a window may cover only padding."""
        if any(max(pads) >= kernel for pads, kernel in zip(self.padding, self.kernel, strict=True)):
            raise ShapeError(f"{name}: padding {self.padding} must be smaller than the window {times(self.kernel)}")
        return self.check(name)

    def pad(self, x: Array, fill: float = 0.0) -> Array:
        """Return x, … × H × W, padded with `fill` as far as the windows reach."""
        (h, w), ((top, _), (left, _)), (nh, nw) = self.size, self.padding, self.need
        y = np.full((*x.shape[:-2], max(nh, top + h), max(nw, left + w)), fill, x.dtype)
        y[..., top : top + h, left : left + w] = x
        return y

    def crop(self, padded: Array) -> Array:
        """Return the image inside an array that `pad` returned."""
        (h, w), ((top, _), (left, _)) = self.size, self.padding
        return padded[..., top : top + h, left : left + w]

    def taps(self, padded: Array) -> Iterator[Array]:
        """Yield, for each tap in row-major order, the view … × OH × OW of the numbers under it."""
        (kh, kw), (sh, sw), (dh, dw), (oh, ow) = self.kernel, self.stride, self.dilation, self.out
        for top in range(0, kh * dh, dh):
            for left in range(0, kw * dw, dw):
                yield padded[..., top : top + (oh - 1) * sh + 1 : sh, left : left + (ow - 1) * sw + 1 : sw]

    def winners(self, x: Array) -> Array:
        """Return the number of the tap with the maximum of each window, … × OH × OW; the first of equal ones."""
        return np.asarray(np.argmax(np.stack(list(self.taps(self.pad(x, -np.inf)))), axis=0))


def pool_window(node: Node, size: tuple[int, ...]) -> Sliding:
    """Return the window of a pooling node over images of `size` (rows, columns)."""
    attrs = node.attrs
    return Sliding((size[0], size[1]), attrs["window"], attrs["stride"], attrs["padding"], ceil_mode=attrs["ceil_mode"])


def image(name: str, x: Type) -> tuple[Dim, int, Pair]:
    """Return batch, channels and size of x N × C × H × W, real numbers. Raise `ShapeError` if it is of another form."""
    need_float(name, x)
    return image_of_any(name, x)


def image_of_any(name: str, x: Type) -> tuple[Dim, int, Pair]:
    """Return the same as `image` for any dtype."""
    if len(x.shape) != 4:
        raise ShapeError(f"{name}: expected N × channels × rows × columns, got {x}")
    batch, channels, rows, columns = x.shape
    if not (isinstance(channels, int) and isinstance(rows, int) and isinstance(columns, int)):
        raise ShapeError(f"{name}: only the batch may be free, got {x}")
    return batch, channels, (rows, columns)


def times(pair: Pair) -> str:
    return f"{pair[0]} × {pair[1]}"


def to_pair(name: str, value: int | Pair) -> Pair:
    """Return a pair from one number for rows and columns, or one for each."""
    sizes = one_or_more(f"{name}: a size", value)
    if isinstance(sizes, int):
        return sizes, sizes
    if len(sizes) == 1 and isinstance(sizes[0], int):
        return sizes[0], sizes[0]
    if len(sizes) != 2 or not all(isinstance(item, int) for item in sizes):
        raise shape_error(f"{name}: expected a number or (rows, columns), got {called(value)}")
    return sizes[0], sizes[1]


def to_padding(name: str, value: int | Pair | Padding) -> Padding:
    """Return a padding from one number for all sides, (rows, columns), or ((top, bottom), (left, right))."""
    sizes = one_or_more(f"{name}: padding", value)
    sides = (sizes, sizes) if isinstance(sizes, int) else sizes * 2 if len(sizes) == 1 else sizes
    if len(sides) != 2:
        raise shape_error(f"{name}: expected padding as a number, (rows, columns) or ((top, bottom), (left, right))")
    return to_pair(name, sides[0]), to_pair(name, sides[1])


def without_unused(kernel: Pair, dilation: Pair) -> Pair:
    """Return the dilation, set to 1 where the kernel has a single tap, for which it has no effect."""
    rows, columns = (1 if taps == 1 and gap > 0 else gap for taps, gap in zip(kernel, dilation, strict=True))
    return rows, columns


def same_padding(size: Pair, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Padding:
    """Return the padding for size / stride positions, rounded up; the larger half is below and on the right.

    This is TensorFlow's "SAME", and PyTorch's "same" for a stride of 1.
    """
    extent = Sliding(size, kernel, stride, ((0, 0), (0, 0)), dilation).extent
    rows, columns = ((-(-size[axis] // stride[axis]) - 1) * stride[axis] + extent[axis] - size[axis] for axis in (0, 1))
    return _halves(rows), _halves(columns)


def _halves(total: int) -> Pair:
    return max(total, 0) // 2, (max(total, 0) + 1) // 2


def random_sliding(rng: np.random.Generator, *, pool: bool) -> Sliding:
    """Return a small case: any window, stride and padding; dilation for convolutions, `ceil_mode` for pools."""
    kernel = (sampling.between(rng, 1, 5), sampling.between(rng, 1, 5))
    if sampling.flip(rng):
        kernel = (kernel[0], kernel[0])
    stride = (sampling.between(rng, 1, 3), sampling.between(rng, 1, 3))
    max_padding = [min(3, k - 1) if pool else 3 for k in kernel]
    rows, columns = ((sampling.between(rng, 0, m), sampling.between(rng, 0, m)) for m in max_padding)
    max_dilation = 1 if pool or sampling.flip(rng, 0.7) else 3
    dilation = (sampling.between(rng, 1, max_dilation), sampling.between(rng, 1, max_dilation))
    shape = Sliding((1, 1), kernel, stride, (rows, columns), dilation)
    min_sizes = [max(1, extent - sum(pads)) for extent, pads in zip(shape.extent, shape.padding, strict=True)]
    size = (min_sizes[0] + sampling.between(rng, 0, 8), min_sizes[1] + sampling.between(rng, 0, 8))
    return Sliding(size, kernel, stride, (rows, columns), dilation, pool and sampling.flip(rng, 0.3))
