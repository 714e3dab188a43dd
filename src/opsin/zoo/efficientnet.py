"""EfficientNet: Tan & Le, "EfficientNet: rethinking model scaling for convolutional neural networks", ICML 2019.

The paper finds a small network by search, B0, and scales its width, depth and input size together for the larger ones.
Its blocks are MobileNetV2's inverted residuals with squeeze-and-excitation and swish. Its table 1 is `STAGES` below;
5,288,548 parameters. During training, whole blocks are skipped at random (stochastic depth), with up to 20% probability
towards the end. Names, initial values and symmetric padding are torchvision's.
"""

from __future__ import annotations

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import Dropout, Flatten, GlobalAvgPool2d, Layer, Linear, Sequential, SiLU, StochasticDepth
from opsin.nn.initializers import constant, fan_out_uniform
from opsin.zoo.blocks import SqueezeExcitation, conv_norm
from opsin.zoo.registry import register

STAGES = (
    (1, 3, 16, 1, 1),
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)
"""Expansion, kernel size, output channels, number of blocks, and the stride of the first block."""

DROP_RATE = 0.2
"""The skip probability that a block after the last would have; it grows linearly from 0 at the first block."""


class MBConv(Layer):
    """Expand, depthwise convolution, squeeze-and-excitation, project to `out`; a shortcut if the shapes match."""

    def __init__(self, channels: int, expansion: int, kernel: int, out: int, stride: int, drop_rate: float) -> None:
        hidden = expansion * channels
        expand = [conv_norm(hidden, activation=SiLU)] if expansion > 1 else []
        self.block = Sequential(
            *expand,
            conv_norm(hidden, kernel, stride, groups=hidden, activation=SiLU),
            SqueezeExcitation(hidden, max(1, channels // 4), activation=ops.silu),
            conv_norm(out, activation=None),
        )
        self.shortcut = stride == 1 and channels == out
        self.stochastic_depth = StochasticDepth(drop_rate)

    def forward(self, x: Tensor) -> Tensor:
        y = self.block(x)
        return ops.add(x, self.stochastic_depth(y)) if self.shortcut else y


def network(classes: int) -> Layer:
    """Images N × C × H × W → N × `classes`, of any size."""
    total = sum(count for _, _, _, count, _ in STAGES)
    channels, block_count = 32, 0
    features = [conv_norm(32, 3, stride=2, activation=SiLU)]
    for expansion, kernel, out, count, first in STAGES:
        blocks = []
        for number in range(count):
            stride = first if number == 0 else 1
            blocks.append(MBConv(channels, expansion, kernel, out, stride, DROP_RATE * block_count / total))
            channels, block_count = out, block_count + 1
        features.append(Sequential(*blocks))
    features.append(conv_norm(1280, activation=SiLU))
    return Sequential(
        ("features", Sequential(*features)),
        ("avgpool", GlobalAvgPool2d()),
        ("flatten", Flatten()),
        ("classifier", Sequential(Dropout(0.2), Linear(classes, weight_init=fan_out_uniform, bias_init=constant(0)))),
    )


efficientnet_b0 = register("efficientnet_b0", network)
