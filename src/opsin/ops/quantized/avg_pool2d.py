"""Average pooling of 8-bit integers."""

from __future__ import annotations

import numpy as np

from opsin.ir import INT8, Node, Tensor, Type
from opsin.ops import sampling
from opsin.ops.quantized.fixed_point import need_bounds, need_bytes, need_range, requantized
from opsin.ops.quantized.multiply import LIMITS
from opsin.ops.quantized.sampling import random_bounds, random_int8
from opsin.ops.registry import Array, Primitive, Sample, need_int8, register
from opsin.ops.sliding import Padding, Pair, Sliding, image_of_any, random_sliding


class AvgPool2dInt8(Primitive):
    """x N × C × H × W → N × C × OH × OW, 8-bit integers: y = clamp(zero + mulh(sum + bias, multiplier), low, high).

    The sum is that of the window, in which pixels of the padding have the value `x_zero` and count. The multiplier
    holds the scales and the number of pixels, the bias the zero points and the rounding (see `fixed_point`).
    """

    name = "avg_pool2d_int8"

    def infer(
        self, x: Type, *, window: Pair, stride: Pair, padding: Padding, x_zero: int, bias: int, multiplier: int,
        zero: int, low: int, high: int,
    ) -> Type:  # fmt: skip
        need_int8(self.name, x)
        batch, channels, size = image_of_any(self.name, x)
        slide = Sliding(size, window, stride, padding).check_pool(self.name)
        need_bytes(self.name, x_zero=x_zero, zero=zero)
        need_range(self.name, LIMITS, bias=bias, multiplier=multiplier)
        need_bounds(self.name, low, high)
        return Type((batch, channels, *slide.out), INT8)

    def evaluate(
        self, x: Array, *, window: Pair, stride: Pair, padding: Padding, x_zero: int, bias: int, multiplier: int,
        zero: int, low: int, high: int,
    ) -> Array:  # fmt: skip
        slide = Sliding((x.shape[2], x.shape[3]), window, stride, padding)
        total = np.zeros((*x.shape[:2], *slide.out), np.int32)
        for pixels in slide.taps(slide.pad(x, x_zero)):
            total += pixels
        return requantized(total, bias, multiplier, zero, low, high)

    def window(self, node: Node) -> tuple[Pair, Pair]:
        _, _, size = image_of_any(self.name, node.inputs[0].type)
        return Sliding(size, *(node.attrs[key] for key in ("window", "stride", "padding"))).window

    def sample(self, rng: np.random.Generator) -> Sample:
        slide = random_sliding(rng, pool=True)
        x = random_int8(rng, (sampling.between(rng, 1, 3), sampling.pick(rng, sampling.CHANNELS), *slide.size))
        taps = slide.kernel[0] * slide.kernel[1]
        attrs = {
            "window": slide.kernel, "stride": slide.stride, "padding": slide.padding,
            "x_zero": sampling.between(rng, -128, 127), "bias": sampling.between(rng, -100 * taps, 100 * taps),
            "multiplier": int(2**32 / taps * rng.uniform(0.2, 0.49)),
        }  # fmt: skip
        return Sample((x,), attrs | random_bounds(rng))


_avg_pool2d_int8 = register(AvgPool2dInt8())


def avg_pool2d_int8(
    x: Tensor, window: Pair, stride: Pair, padding: Padding, x_zero: int, bias: int, multiplier: int, zero: int,
    low: int = -128, high: int = 127,
) -> Tensor:  # fmt: skip
    """Return the average of each window of 8-bit integers, scaled; see `AvgPool2dInt8` for the arguments."""
    return _avg_pool2d_int8(
        x, window=window, stride=stride, padding=padding, x_zero=x_zero, bias=bias, multiplier=multiplier, zero=zero,
        low=low, high=high,
    ).output  # fmt: skip
