"""MobileNetV3: Howard, Sandler, Chu, Chen, Chen, Tan, Wang, Zhu, Pang, Vasudevan, Le & Adam, "Searching for
MobileNetV3", ICCV 2019.

The blocks of MobileNetV2, found by search rather than by hand, some with squeeze-and-excitation; the swish activation
in the later layers, in a piecewise form (hard swish); and the last layers rearranged so that the widest of them comes
after the pooling. The paper's tables 1 and 2 are `LARGE_BLOCKS` and `SMALL_BLOCKS` below: 5,483,032 and
2,542,856 parameters. Names, initial values, and the position and width of squeeze-and-excitation, after the depthwise
convolution's activation and a quarter as wide, are torchvision's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import BatchNorm2d, Dropout, Flatten, GlobalAvgPool2d, HardSwish, Layer, Linear, ReLU, Sequential
from opsin.nn.initializers import constant, normal
from opsin.zoo.blocks import SqueezeExcitation, conv_norm, round_channels
from opsin.zoo.registry import register


class Row(NamedTuple):
    """A row of the paper's tables: one block."""

    kernel: int
    hidden: int
    """Channels between the two 1 × 1 convolutions."""
    out: int
    squeeze: bool
    activation: type[Layer]
    stride: int
    dilation: int = 1


LARGE_BLOCKS = (
    Row(3, 16, 16, False, ReLU, 1),
    Row(3, 64, 24, False, ReLU, 2),
    Row(3, 72, 24, False, ReLU, 1),
    Row(5, 72, 40, True, ReLU, 2),
    Row(5, 120, 40, True, ReLU, 1),
    Row(5, 120, 40, True, ReLU, 1),
    Row(3, 240, 80, False, HardSwish, 2),
    Row(3, 200, 80, False, HardSwish, 1),
    Row(3, 184, 80, False, HardSwish, 1),
    Row(3, 184, 80, False, HardSwish, 1),
    Row(3, 480, 112, True, HardSwish, 1),
    Row(3, 672, 112, True, HardSwish, 1),
    Row(5, 672, 160, True, HardSwish, 2),
    Row(5, 960, 160, True, HardSwish, 1),
    Row(5, 960, 160, True, HardSwish, 1),
)
SMALL_BLOCKS = (
    Row(3, 16, 16, True, ReLU, 2),
    Row(3, 72, 24, False, ReLU, 2),
    Row(3, 88, 24, False, ReLU, 1),
    Row(5, 96, 40, True, HardSwish, 2),
    Row(5, 240, 40, True, HardSwish, 1),
    Row(5, 240, 40, True, HardSwish, 1),
    Row(5, 120, 48, True, HardSwish, 1),
    Row(5, 144, 48, True, HardSwish, 1),
    Row(5, 288, 96, True, HardSwish, 2),
    Row(5, 576, 96, True, HardSwish, 1),
    Row(5, 576, 96, True, HardSwish, 1),
)

block = partial(conv_norm, norm=partial(BatchNorm2d, eps=1e-3, momentum=0.01))


class InvertedResidual(Layer):
    """One row of the tables, for `channels` input channels, made of `block`s; a shortcut if the shapes match."""

    def __init__(self, channels: int, row: Row, block: Callable[..., Sequential] = block) -> None:
        kernel, hidden, out, squeeze, activation, stride, dilation = row
        layers: list[Layer] = [block(hidden, activation=activation)] if hidden != channels else []
        layers.append(block(hidden, kernel, stride, hidden, activation, dilation=dilation))
        if squeeze:
            layers.append(SqueezeExcitation(hidden, round_channels(hidden // 4), gate=ops.hard_sigmoid))
        self.block = Sequential(*layers, block(out, activation=None))
        self.shortcut = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        y = self.block(x)
        return ops.add(x, y) if self.shortcut else y


def feature_layers(rows: tuple[Row, ...]) -> list[Layer]:
    """Return the layers before the pooling: a convolution, the blocks of the table, and a pointwise convolution."""
    channels = 16
    layers: list[Layer] = [block(16, 3, stride=2, activation=HardSwish)]
    for row in rows:
        layers.append(InvertedResidual(channels, row))
        channels = row.out
    return [*layers, block(6 * channels, activation=HardSwish)]


def network(rows: tuple[Row, ...], last: int, classes: int) -> Layer:
    """Images N × C × H × W → N × `classes`, of any size; `last` features before the logits."""
    linear = partial(Linear, weight_init=normal(0.01), bias_init=constant(0))
    return Sequential(
        ("features", Sequential(*feature_layers(rows))),
        ("avgpool", GlobalAvgPool2d()),
        ("flatten", Flatten()),
        ("classifier", Sequential(linear(last), HardSwish(), Dropout(0.2), linear(classes))),
    )


mobilenet_v3_large = register("mobilenet_v3_large", partial(network, LARGE_BLOCKS, 1280))
mobilenet_v3_small = register("mobilenet_v3_small", partial(network, SMALL_BLOCKS, 1024))
