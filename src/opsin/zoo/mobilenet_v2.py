"""MobileNetV2: Sandler, Howard, Zhu, Zhmoginov & Chen, "MobileNetV2: inverted residuals and linear bottlenecks",
CVPR 2018.

The paper inverts the residual block: the shortcut connects narrow layers, between which a 1 × 1 convolution expands, a
depthwise one filters, and a 1 × 1 convolution projects back, the last one without an activation, because a ReLU on few
channels would lose information. Its table 2 is `STAGES` below; 3,504,872 parameters. Names, initial values and
symmetric padding are torchvision's.
"""

from __future__ import annotations

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import BatchNorm2d, Conv2d, Dropout, Flatten, GlobalAvgPool2d, Layer, Linear, ReLU6, Sequential
from opsin.nn.initializers import constant, kaiming_normal_fan_out, normal
from opsin.zoo.blocks import conv_norm
from opsin.zoo.registry import register

STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, output channels, number of blocks, and the stride of the first block."""


class InvertedResidual(Layer):
    """Expand by `expansion`, depthwise convolution, project to `out`; a shortcut if the shapes match."""

    def __init__(self, channels: int, expansion: int, out: int, stride: int) -> None:
        hidden = expansion * channels
        expand = [conv_norm(hidden, activation=ReLU6)] if expansion > 1 else []
        self.conv = Sequential(
            *expand,
            conv_norm(hidden, 3, stride, groups=hidden, activation=ReLU6),
            Conv2d(out, 1, bias=False, weight_init=kaiming_normal_fan_out),
            BatchNorm2d(),
        )
        self.shortcut = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return ops.add(x, y) if self.shortcut else y


def network(classes: int) -> Layer:
    """Images N × C × H × W → N × `classes`, of any size."""
    channels = 32
    features: list[Layer] = [conv_norm(32, 3, stride=2, activation=ReLU6)]
    for expansion, out, count, first in STAGES:
        for number in range(count):
            features.append(InvertedResidual(channels, expansion, out, first if number == 0 else 1))
            channels = out
    features.append(conv_norm(1280, activation=ReLU6))
    logits = Linear(classes, weight_init=normal(0.01), bias_init=constant(0))
    return Sequential(
        ("features", Sequential(*features)),
        ("pool", GlobalAvgPool2d()),
        ("flatten", Flatten()),
        ("classifier", Sequential(Dropout(0.2), logits)),
    )


mobilenet_v2 = register("mobilenet_v2", network)
