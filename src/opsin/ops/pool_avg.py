"""Average pooling, and L2 pooling composed of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from opsin.base.errors import ShapeError
from opsin.base.renamed_arguments import renamed_arguments
from opsin.ir import Node, Tensor, Type
from opsin.ops import sampling
from opsin.ops.arithmetic import multiply, square
from opsin.ops.pool_dilated import dilated_mean, dilated_sum, window_of
from opsin.ops.reduce import mean
from opsin.ops.registry import Array, Primitive, Sample, register
from opsin.ops.resample import resample2d
from opsin.ops.sliding import Padding, Pair, Sliding, image, random_sliding, to_padding, to_pair, without_unused
from opsin.ops.unary import sqrt


class AvgPool2d(Primitive):
    """x N × C × H × W → N × C × OH × OW, the mean of each window.

    Padding counts as zeros if `count_include_pad`, otherwise not at all. What the last window of `ceil_mode` covers
    beyond the padding never counts. These are PyTorch's rules.
    """

    name = "avg_pool2d"

    def infer(
        self, x: Type, *, window: Pair, stride: Pair, padding: Padding, ceil_mode: bool, count_include_pad: bool
    ) -> Type:
        batch, channels, size = image(self.name, x)
        slide = Sliding(size, window, stride, padding, ceil_mode=ceil_mode).check_pool(self.name)
        return Type((batch, channels, *slide.out))

    def evaluate(self, x: Array, *, count_include_pad: bool, **attrs: Any) -> Array:
        slide = _slide((x.shape[2], x.shape[3]), **attrs)
        first, *rest = slide.taps(slide.pad(x))
        total = first.copy()
        for values in rest:
            total += values
        return np.asarray(total / divisor(slide, count_include_pad).astype(x.dtype))

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        return (_avg_pool2d_grad(g, **node.attrs, size=node.inputs[0].shape[2:]).output,)

    def window(self, node: Node) -> tuple[Pair, Pair]:
        _, _, size = image(self.name, node.inputs[0].type)
        move = {key: value for key, value in node.attrs.items() if key != "count_include_pad"}
        return _slide(size, **move).window

    def sample(self, rng: np.random.Generator) -> Sample:
        slide, channels, attrs = _sample(rng)
        return Sample((sampling.normal(rng, (*channels, *slide.size)),), attrs, (0,))


class AvgPool2dGrad(Primitive):
    """g N × C × OH × OW → N × C × `size`: the gradient of `avg_pool2d`, its transposed map."""

    name = "avg_pool2d_grad"

    def infer(self, g: Type, *, size: Pair, **attrs: Any) -> Type:
        batch, channels, _ = image(self.name, g)
        x = Type((batch, channels, *size))
        y = _avg_pool2d.infer(x, **attrs)
        if g != y:
            raise ShapeError(f"avg_pool2d_grad: {x} pools to {y}, but the gradient is {g}")
        return x

    def evaluate(self, g: Array, *, size: Pair, count_include_pad: bool, **attrs: Any) -> Array:
        slide = _slide(size, **attrs)
        share = g / divisor(slide, count_include_pad).astype(g.dtype)
        padded = slide.pad(np.zeros((*g.shape[:2], *size), g.dtype))
        for place in slide.taps(padded):
            place += share
        return slide.crop(padded)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        move = {key: value for key, value in node.attrs.items() if key != "size"}
        return (_avg_pool2d(g, **move).output,)

    def sample(self, rng: np.random.Generator) -> Sample:
        slide, channels, attrs = _sample(rng)
        return Sample((sampling.normal(rng, (*channels, *slide.out)),), attrs | {"size": slide.size}, (0,))


def divisor(slide: Sliding, count_include_pad: bool) -> Array:
    """Return the divisor of the sum of each window, OH × OW."""
    rows, columns = (_counts(slide, axis, count_include_pad) for axis in range(2))
    return np.outer(rows, columns)


def _counts(slide: Sliding, axis: int, count_include_pad: bool) -> Array:
    size, (low, high) = slide.size[axis], slide.padding[axis]
    first = np.arange(slide.out[axis]) * slide.stride[axis] - low
    last = first + slide.kernel[axis]
    if count_include_pad:
        return np.asarray(np.minimum(last, size + high) - first)
    return np.asarray(np.minimum(last, size) - np.maximum(first, 0))


def _slide(size: Pair, window: Pair, stride: Pair, padding: Padding, ceil_mode: bool) -> Sliding:
    return Sliding(size, window, stride, padding, ceil_mode=ceil_mode)


def _sample(rng: np.random.Generator) -> tuple[Sliding, Pair, dict[str, Any]]:
    slide = random_sliding(rng, pool=True)
    channels = (sampling.between(rng, 1, 3), sampling.pick(rng, sampling.CHANNELS))
    attrs = {
        "window": slide.kernel, "stride": slide.stride, "padding": slide.padding,
        "ceil_mode": slide.ceil_mode, "count_include_pad": sampling.flip(rng),
    }  # fmt: skip
    return slide, channels, attrs


_avg_pool2d = register(AvgPool2d())
_avg_pool2d_grad = register(AvgPool2dGrad())


@renamed_arguments(window="kernel_size")
def avg_pool2d(
    x: Tensor,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair | Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    dilation: int | Pair = 1,
) -> Tensor:
    """Return the mean of each window of x N × C × H × W. The default stride is the size of the window.

    The numbers of a window are `dilation` apart.
    """
    name = _avg_pool2d.name
    kernel = to_pair(name, kernel_size)
    step, pads = kernel if stride is None else to_pair(name, stride), to_padding(name, padding)
    gaps = without_unused(kernel, to_pair(name, dilation))
    if gaps != (1, 1):
        return dilated_mean(x, window_of(name, x, kernel, step, pads, gaps, ceil_mode), count_include_pad)
    return _avg_pool2d(
        x, window=kernel, stride=step, padding=pads, ceil_mode=ceil_mode, count_include_pad=count_include_pad
    ).output


@renamed_arguments(window="kernel_size")
def sum_pool2d(
    x: Tensor,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair | Padding = 0,
    ceil_mode: bool = False,
) -> Tensor:
    """Return the sum of each window of x N × C × H × W; numbers beyond the image are 0."""
    name = "sum_pool2d"
    kernel, pads = to_pair(name, kernel_size), to_padding(name, padding)
    step = kernel if stride is None else to_pair(name, stride)
    slide = window_of(name, x, kernel, step, pads, (1, 1), ceil_mode)
    if any(need > n + sum(margins) for need, n, margins in zip(slide.need, slide.size, pads, strict=True)):
        return dilated_sum(x, slide)  # avg_pool2d would average over fewer numbers there
    return multiply(avg_pool2d(x, kernel, step, pads), float(kernel[0] * kernel[1]))


@renamed_arguments(window="kernel_size")
def l2_pool2d(
    x: Tensor, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair | Padding = 0
) -> Tensor:
    """Return √ of the sum of squares of each window (Hyvärinen & Köster 2007). The gradient at 0 is 0."""
    rows, columns = to_pair("l2_pool2d", kernel_size)
    return sqrt(multiply(avg_pool2d(square(x), (rows, columns), stride, padding), float(rows * columns)))


def global_avg_pool2d(x: Tensor) -> Tensor:
    """Return the mean of each channel: N × C × H × W → N × C × 1 × 1."""
    image("global_avg_pool2d", x.type)
    return mean(x, (2, 3), keepdims=True)


@renamed_arguments(size="output_size")
def adaptive_avg_pool2d(x: Tensor, output_size: int | Pair) -> Tensor:
    """Return the means of `output_size` windows that cover the image evenly and overlap if they must."""
    target = to_pair("adaptive_avg_pool2d", output_size)
    if target == (1, 1):
        return global_avg_pool2d(x)
    return resample2d(x, target, "area")
