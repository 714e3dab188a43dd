"""Blocks that several networks share."""

from __future__ import annotations

from collections.abc import Callable

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import BatchNorm2d, Conv2d, Layer, ReLU, Sequential
from opsin.nn.initializers import constant, kaiming_normal_fan_out

Function = Callable[[Tensor], Tensor]


def conv_norm(
    out_channels: int,
    kernel_size: int = 1,
    stride: int = 1,
    groups: int = 1,
    activation: Callable[[], Layer] | None = ReLU,
    norm: Callable[[], Layer] = BatchNorm2d,
    dilation: int = 1,
) -> Sequential:
    """Return convolution without bias, batch normalization, activation, padded so that a stride of 1 keeps the size."""
    padding = (kernel_size - 1) // 2 * dilation
    conv = Conv2d(
        out_channels, kernel_size, stride, padding, dilation, groups, bias=False, weight_init=kaiming_normal_fan_out
    )
    return Sequential(conv, norm(), *([] if activation is None else [activation()]))


class SqueezeExcitation(Layer):
    """Scale each channel by a function of the means of all channels.

    A layer reduces the means to `squeezed` numbers, from which another computes a `gate` for each of the `channels`.
    Hu, Shen & Sun, "Squeeze-and-excitation networks", CVPR 2018.
    """

    def __init__(
        self, channels: int, squeezed: int, activation: Function = ops.relu, gate: Function = ops.sigmoid
    ) -> None:
        self.fc1 = Conv2d(squeezed, 1, weight_init=kaiming_normal_fan_out, bias_init=constant(0))
        self.fc2 = Conv2d(channels, 1, weight_init=kaiming_normal_fan_out, bias_init=constant(0))
        self.activation, self.gate = activation, gate

    def forward(self, x: Tensor) -> Tensor:
        squeezed = self.activation(self.fc1(ops.global_avg_pool2d(x)))
        return ops.multiply(x, self.gate(self.fc2(squeezed)))


def round_channels(channels: float, divisor: int = 8) -> int:
    """Return the multiple of `divisor` nearest to `channels`, or the next one if that would lose more than a tenth.

    This is the rule of the MobileNet and EfficientNet authors' code for scaled widths.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor
