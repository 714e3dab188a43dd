"""EfficientNet-Lite: Liu, "Higher accuracy on vision models with EfficientNet-Lite", TensorFlow blog, 2020; after Tan &
Le, "EfficientNet: rethinking model scaling for convolutional neural networks", ICML 2019.

EfficientNet for mobile and embedded devices, without what suits fixed-point arithmetic and accelerators badly: there is
no squeeze-and-excitation, ReLU6 replaces swish, and stem, head, and the number of blocks in the first and last stage
are the same in all sizes. Lite0 has 4,652,008 parameters, Lite4 13,006,568.

Padding is TensorFlow's "SAME": for a stride of 2, an odd pixel is added below and on the right. Names are those of
timm's `tf_efficientnet_lite0` … `4`. During training, whole blocks are skipped at random, with up to 20% probability
towards the end, and the running statistics change slowly, as in TensorFlow.
"""

from __future__ import annotations

import math
from functools import partial

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    ReLU6,
    Sequential,
    StochasticDepth,
)
from opsin.nn.initializers import constant, fan_out_uniform, kaiming_normal_fan_out
from opsin.zoo.blocks import round_channels
from opsin.zoo.efficientnet import DROP_RATE, STAGES
from opsin.zoo.registry import Entry, register

SIZES = (
    (1.0, 1.0, 224, 0.2),
    (1.0, 1.1, 240, 0.2),
    (1.1, 1.2, 260, 0.3),
    (1.2, 1.4, 280, 0.3),
    (1.4, 1.8, 300, 0.3),
)
"""For Lite0 … Lite4: factors of B0's channels and blocks, rows and columns of images, dropout."""

conv = partial(Conv2d, padding="same", bias=False, weight_init=kaiming_normal_fan_out)
norm = partial(BatchNorm2d, eps=1e-3, momentum=0.01)


class Block(Layer):
    """A depthwise and a pointwise convolution that projects to `out`; a shortcut if the shapes match."""

    def __init__(self, channels: int, out: int, stride: int, drop_rate: float) -> None:
        self.shortcut = stride == 1 and channels == out
        self.drop_path = StochasticDepth(drop_rate)

    def branch(self, x: Tensor) -> Tensor:
        """Compute the residual branch."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        y = self.branch(x)
        return ops.add(x, self.drop_path(y)) if self.shortcut else y


class DepthwiseSeparable(Block):
    """The block of the first stage, which does not expand."""

    def __init__(self, channels: int, kernel: int, out: int, stride: int, drop_rate: float) -> None:
        super().__init__(channels, out, stride, drop_rate)
        self.conv_dw, self.bn1, self.act1 = conv(channels, kernel, stride, groups=channels), norm(), ReLU6()
        self.conv_pw, self.bn2 = conv(out, 1), norm()

    def branch(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv_pw(self.act1(self.bn1(self.conv_dw(x)))))


class InvertedResidual(Block):
    """The block of MobileNetV2: a pointwise convolution expands to `hidden` channels first."""

    def __init__(self, channels: int, hidden: int, kernel: int, out: int, stride: int, drop_rate: float) -> None:
        super().__init__(channels, out, stride, drop_rate)
        self.conv_pw, self.bn1, self.act1 = conv(hidden, 1), norm(), ReLU6()
        self.conv_dw, self.bn2, self.act2 = conv(hidden, kernel, stride, groups=hidden), norm(), ReLU6()
        self.conv_pwl, self.bn3 = conv(out, 1), norm()

    def branch(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn1(self.conv_pw(x)))
        return self.bn3(self.conv_pwl(self.act2(self.bn2(self.conv_dw(x)))))


def stage_layers(width: float, depth: float) -> list[Layer]:
    """Return the seven stages between stem and head; `width` and `depth` multiply channels and blocks."""
    last = len(STAGES) - 1
    counts = [row[3] if i in (0, last) else math.ceil(depth * row[3]) for i, row in enumerate(STAGES)]
    channels, done = 32, 0
    stages: list[Layer] = []
    for (expansion, kernel, base, _, first), count in zip(STAGES, counts, strict=True):
        out = round_channels(width * base)
        blocks: list[Layer] = []
        for number in range(count):
            stride, drop_rate = (first if number == 0 else 1), DROP_RATE * done / sum(counts)
            if expansion == 1:
                blocks.append(DepthwiseSeparable(channels, kernel, out, stride, drop_rate))
            else:
                blocks.append(InvertedResidual(channels, expansion * channels, kernel, out, stride, drop_rate))
            channels, done = out, done + 1
        stages.append(Sequential(*blocks))
    return stages


def network(width: float, depth: float, dropout: float, classes: int) -> Layer:
    """Images N × C × H × W → N × `classes`, of any size; `width` and `depth` multiply channels and blocks."""
    return Sequential(
        ("conv_stem", conv(32, 3, 2)),
        ("bn1", norm()),
        ("act1", ReLU6()),
        ("blocks", Sequential(*stage_layers(width, depth))),
        ("conv_head", conv(1280, 1)),
        ("bn2", norm()),
        ("act2", ReLU6()),
        ("global_pool", GlobalAvgPool2d()),
        ("flatten", Flatten()),
        ("dropout", Dropout(dropout)),
        ("classifier", Linear(classes, weight_init=fan_out_uniform, bias_init=constant(0))),
    )


def _lite(number: int) -> Entry:
    width, depth, size, dropout = SIZES[number]
    return register(f"efficientnet_lite{number}", partial(network, width, depth, dropout), (3, size, size))


efficientnet_lite0 = _lite(0)
efficientnet_lite1 = _lite(1)
efficientnet_lite2 = _lite(2)
efficientnet_lite3 = _lite(3)
efficientnet_lite4 = _lite(4)
