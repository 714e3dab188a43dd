"""Max pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from opsin.base.errors import GraphError, ShapeError
from opsin.base.renamed_arguments import renamed_arguments
from opsin.ir import INT8, Node, Tensor, Type
from opsin.ops import sampling
from opsin.ops.pool_dilated import dilated_max, window_of
from opsin.ops.registry import Array, Primitive, Sample, need_float, register
from opsin.ops.sliding import (
    Padding,
    Pair,
    Sliding,
    image,
    image_of_any,
    random_sliding,
    to_padding,
    to_pair,
    without_unused,
)


class MaxPool2d(Primitive):
    """x N × C × H × W → N × C × OH × OW, the maximum of each window of real numbers or 8-bit integers.

    Padding is never the maximum. `ceil_mode` adds a last window that extends beyond the image, by PyTorch's rule.
    """

    name = "max_pool2d"

    def infer(self, x: Type, *, window: Pair, stride: Pair, padding: Padding, ceil_mode: bool) -> Type:
        if x.dtype != INT8:
            need_float(self.name, x)
        batch, channels, size = image_of_any(self.name, x)
        slide = Sliding(size, window, stride, padding, ceil_mode=ceil_mode).check_pool(self.name)
        return Type((batch, channels, *slide.out), x.dtype)

    def evaluate(self, x: Array, **attrs: Any) -> Array:
        slide = _slide(x, **attrs)
        first, *rest = slide.taps(slide.pad(x, -128 if x.dtype == np.int8 else -np.inf))
        y = first.copy()
        for values in rest:
            np.maximum(y, values, out=y)
        return y

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        return (_max_pool2d_grad(node.inputs[0], g, **node.attrs).output,)

    def window(self, node: Node) -> tuple[Pair, Pair]:
        return _slide(node.inputs[0], **node.attrs).window

    def sample(self, rng: np.random.Generator) -> Sample:
        x, _, attrs = _sample(rng)
        return Sample((x,), attrs, (0,))


class MaxPool2dGrad(Primitive):
    """x N × C × H × W, g N × C × OH × OW → like x: the gradient of `max_pool2d`.

    Each g goes to the maximum of its window, the first of equal maxima in row-major order. The operation has no
    gradient itself.
    """

    name = "max_pool2d_grad"

    def infer(self, x: Type, g: Type, **attrs: Any) -> Type:
        need_float(self.name, x)
        y = _max_pool2d.infer(x, **attrs)
        if g != y:
            raise ShapeError(f"max_pool2d_grad: {x} pools to {y}, but the gradient is {g}")
        return x

    def evaluate(self, x: Array, g: Array, **attrs: Any) -> Array:
        slide = _slide(x, **attrs)
        y = _max_pool2d.evaluate(x, **attrs)
        padded = slide.pad(x, -np.inf)
        result = np.zeros_like(padded)
        is_unassigned = np.ones(g.shape, bool)
        for values, place in zip(slide.taps(padded), slide.taps(result), strict=True):
            is_maximum = is_unassigned & (values == y)
            place += np.where(is_maximum, g, 0)
            is_unassigned &= ~is_maximum
        return slide.crop(result)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        raise GraphError("max_pool2d can be differentiated once, not twice")

    def sample(self, rng: np.random.Generator) -> Sample:
        x, slide, attrs = _sample(rng)
        if sampling.flip(rng, 0.3):
            x = np.round(x)  # ties
        return Sample((x, sampling.normal(rng, (*x.shape[:2], *slide.out))), attrs)


def _slide(x: Any, window: Pair, stride: Pair, padding: Padding, ceil_mode: bool) -> Sliding:
    return Sliding((x.shape[2], x.shape[3]), window, stride, padding, ceil_mode=ceil_mode)


def _sample(rng: np.random.Generator) -> tuple[Array, Sliding, dict[str, Any]]:
    slide = random_sliding(rng, pool=True)
    x = sampling.distinct(rng, (sampling.between(rng, 1, 3), sampling.pick(rng, sampling.CHANNELS), *slide.size))
    attrs = {
        "window": slide.kernel, "stride": slide.stride, "padding": slide.padding, "ceil_mode": slide.ceil_mode,
    }  # fmt: skip
    return x, slide, attrs


_max_pool2d = register(MaxPool2d())
_max_pool2d_grad = register(MaxPool2dGrad())


@renamed_arguments(window="kernel_size")
def max_pool2d(
    x: Tensor,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair | Padding = 0,
    ceil_mode: bool = False,
    dilation: int | Pair = 1,
) -> Tensor:
    """Return the maximum of each window of x N × C × H × W. The default stride is the size of the window.

    The numbers of a window are `dilation` apart.
    """
    name = _max_pool2d.name
    kernel = to_pair(name, kernel_size)
    step = kernel if stride is None else to_pair(name, stride)
    pads, gaps = to_padding(name, padding), without_unused(kernel, to_pair(name, dilation))
    if gaps != (1, 1):
        return dilated_max(x, window_of(name, x, kernel, step, pads, gaps, ceil_mode))
    return _max_pool2d(x, window=kernel, stride=step, padding=pads, ceil_mode=ceil_mode).output


def global_max_pool2d(x: Tensor) -> Tensor:
    """Return the maximum of each channel: N × C × H × W → N × C × 1 × 1."""
    return max_pool2d(x, image("global_max_pool2d", x.type)[2])
