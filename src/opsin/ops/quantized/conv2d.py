"""Convolution of 8-bit integers, with 32-bit sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import INT, INT8, Dim, Node, Tensor, Type, product
from opsin.ops import sampling
from opsin.ops.quantized.fixed_point import need_bounds, need_bytes, requantized
from opsin.ops.quantized.sampling import random_bounds, random_int8
from opsin.ops.registry import Array, Primitive, Sample, need_int8, register
from opsin.ops.sliding import Padding, Pair, Sliding, image_of_any, random_sliding

EXACT_TERMS = 2**24 // (128 * 128)
"""The number of products of 8-bit integers whose sum float32 always holds exactly."""


class Conv2dInt32(Primitive):
    """x N × C × H × W, w K × C/groups × kh × kw, bias K → N × K × OH × OW: 32-bit sums of products, and the bias.

    x and w are 8-bit integers, the bias has 32 bits. Pixels of the padding have the value `x_zero`. Sums wrap around.
    """

    name = "conv2d_int32"

    def infer(
        self, x: Type, w: Type, bias: Type, *, stride: Pair, padding: Padding, dilation: Pair, groups: int, x_zero: int
    ) -> Type:
        need_int8(self.name, x, w)
        need_bytes(self.name, x_zero=x_zero)
        batch, channels, size = image_of_any(self.name, x)
        filters, depth, kernel = _weight(self.name, w, groups)
        if channels != depth * groups:
            raise ShapeError(f"{self.name}: {channels} input channels, but the weight {w} expects {depth * groups}")
        need_numbers(self.name, "bias", bias, filters)
        slide = Sliding(size, kernel, stride, padding, dilation).check(self.name)
        return Type((batch, filters, *slide.out), INT)

    def evaluate(self, x: Array, w: Array, bias: Array, *, groups: int, x_zero: int, **move: Any) -> Array:
        slide = Sliding((x.shape[2], x.shape[3]), (w.shape[2], w.shape[3]), **move)
        taps = slide.taps(slide.pad(x, x_zero))
        sums = _depthwise(taps, w) if w.shape[1] == 1 and groups == x.shape[1] else _products(taps, w, groups)
        return (sums + bias.astype(np.int64).reshape(-1, 1, 1)).astype(np.int32)

    def macs(self, node: Node) -> Dim:
        return product(node.output.shape) * product(node.inputs[1].shape[1:])

    def window(self, node: Node) -> tuple[Pair, Pair]:
        (_, _, size), move = image_of_any(self.name, node.inputs[0].type), node.attrs
        _, _, kernel = _weight(self.name, node.inputs[1].type, move["groups"])
        return Sliding(size, kernel, move["stride"], move["padding"], move["dilation"]).window

    def sample(self, rng: np.random.Generator) -> Sample:
        return _sample(rng)


class Conv2dInt8(Primitive):
    """x, w and bias as for `conv2d_int32`, multiplier K → N × K × OH × OW, 8-bit integers.

    y = clamp(zero + mulh(sum + bias, multiplier), low, high), as `fixed_point` describes. `multiplier` has 32 bits.
    """

    name = "conv2d_int8"

    def infer(
        self, x: Type, w: Type, bias: Type, multiplier: Type, *, zero: int, low: int, high: int, **attrs: Any
    ) -> Type:
        sums = _conv2d_int32.infer(x, w, bias, **attrs)
        need_numbers(self.name, "multiplier", multiplier, sums.shape[1])
        need_bytes(self.name, zero=zero)
        need_bounds(self.name, low, high)
        return Type(sums.shape, INT8)

    def evaluate(
        self, x: Array, w: Array, bias: Array, multiplier: Array, *, zero: int, low: int, high: int, **attrs: Any
    ) -> Array:
        sums = _conv2d_int32.evaluate(x, w, bias, **attrs)
        return requantized(sums, 0, multiplier.reshape(-1, 1, 1), zero, low, high)

    def macs(self, node: Node) -> Dim:
        return _conv2d_int32.macs(node)

    def window(self, node: Node) -> tuple[Pair, Pair]:
        return _conv2d_int32.window(node)

    def sample(self, rng: np.random.Generator) -> Sample:
        case = _sample(rng)
        weight = case.inputs[1]
        spread = 75 * 75 * weight[0].size ** 0.5
        multiplier = np.rint(2**32 * rng.uniform(10, 90, len(weight)) / spread / 2).astype(np.int32)
        return Sample((*case.inputs, multiplier), case.attrs | random_bounds(rng))


def _products(taps: Any, w: Array, groups: int) -> Array:
    """Return the sums of products, N × K × OH × OW, by a matrix product in which floats are exact."""
    columns = np.stack(list(taps), axis=2)  # N × C × taps × OH × OW
    batch, _, _, rows, width = columns.shape
    exact = np.float32 if w[0].size <= EXACT_TERMS else np.float64
    by_group = w.reshape(groups, len(w) // groups, -1).astype(exact)
    sums = by_group @ columns.reshape(batch, groups, -1, rows * width).astype(exact)
    return np.asarray(sums.reshape(batch, len(w), rows, width), np.int64)


def _depthwise(taps: Any, w: Array) -> Array:
    """Return the sums of products of a convolution in which each channel is a group."""
    kernel = w.reshape(len(w), -1).astype(np.int32)
    total: Any = 0
    for number, pixels in enumerate(taps):
        repeated = np.repeat(pixels, len(w) // pixels.shape[1], axis=1) if len(w) != pixels.shape[1] else pixels
        total = total + repeated * kernel[:, number].reshape(-1, 1, 1)
    return np.asarray(total)


def _weight(name: str, w: Type, groups: int) -> tuple[int, int, Pair]:
    """Return filters, channels of a group, and kernel size of the weight `w`."""
    sizes = [size for size in w.shape if isinstance(size, int)]
    if len(w.shape) != 4 or len(sizes) != 4 or groups < 1 or sizes[0] % groups:
        raise ShapeError(f"{name}: expected a weight filters × channels/groups × rows × columns, got {w}")
    return sizes[0], sizes[1], (sizes[2], sizes[3])


def need_numbers(name: str, what: str, given: Type, count: Dim) -> None:
    """Raise `ShapeError` unless `given` is a 32-bit integer for each of `count` channels."""
    if given != Type((count,), INT):
        raise ShapeError(f"{name}: expected the {what} as {count} whole numbers of 32 bits, got {given}")


def _sample(rng: np.random.Generator) -> Sample:
    slide = random_sliding(rng, pool=False)
    channels, filters = (sampling.pick(rng, sampling.CHANNELS) for _ in range(2))
    groups = 1
    if sampling.flip(rng, 0.4):
        groups = channels if sampling.flip(rng) else sampling.between(rng, 2, 3)
        channels = groups * max(1, channels // groups)
        filters = groups * max(1, filters // groups)
    x = random_int8(rng, (sampling.between(rng, 1, 3), channels, *slide.size))
    w = random_int8(rng, (filters, channels // groups, *slide.kernel), -127)
    move = {"stride": slide.stride, "padding": slide.padding, "dilation": slide.dilation, "groups": groups}
    bias = sampling.whole(rng, (filters,), -20000, 20000)
    return Sample((x, w, bias), move | {"x_zero": sampling.between(rng, -128, 127)})


_conv2d_int32 = register(Conv2dInt32())
_conv2d_int8 = register(Conv2dInt8())


def conv2d_int32(x: Tensor, w: Tensor, bias: Tensor, **attrs: Any) -> Tensor:
    """Return the 32-bit sums of a convolution of 8-bit integers; see `Conv2dInt32` for the attributes."""
    return _conv2d_int32(x, w, bias, **attrs).output


def conv2d_int8(x: Tensor, w: Tensor, bias: Tensor, multiplier: Tensor, **attrs: Any) -> Tensor:
    """Return a convolution of 8-bit integers, scaled to 8-bit integers; see `Conv2dInt8` for the attributes."""
    return _conv2d_int8(x, w, bias, multiplier, **attrs).output
