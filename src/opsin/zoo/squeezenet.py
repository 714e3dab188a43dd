"""SqueezeNet: Iandola, Han, Moskewicz, Ashraf, Dally & Keutzer, "SqueezeNet: AlexNet-level accuracy with 50× fewer
parameters and <0.5MB model size", arXiv:1602.07360, 2016.

The paper's idea is the Fire module: a 1 × 1 convolution reduces the channels to a few, and an expand layer applies as
many 1 × 1 as 3 × 3 filters to them. There is no fully connected layer: a 1 × 1 convolution computes one channel per
class, and its mean is the logit. Pooling comes late, so most layers have large feature maps.

`squeezenet1_1` is the authors' own revision of the same year: a first convolution of 64 filters of 3 × 3 instead of
the paper's 96 of 7 × 7, and earlier pooling, for 2.4 times less computation at the same accuracy. 1,235,496 parameters.

Names are torchvision's, and so are initial values, uniform by He et al. 2015.
"""

from __future__ import annotations

import math

from opsin import ops
from opsin.ir import Shape, Tensor
from opsin.nn import Conv2d, Dropout, Flatten, GlobalAvgPool2d, Init, Layer, MaxPool2d, ReLU, Sequential
from opsin.nn.initializers import constant, fan_in_uniform, normal
from opsin.zoo.registry import register
from opsin.zoo.sizes import at_least

ROWS = (16, 64), (16, 64), None, (32, 128), (32, 128), None, (48, 192), (48, 192), (64, 256), (64, 256)
"""Channels of each Fire module: squeezed, and of each half of its expand layer. None is a pooling."""

MIN_SIZE = 17
"""Rows and columns of the smallest image for which the last pooling has an input."""


def kaiming_uniform(shape: Shape) -> Init:
    """Return uniform with variance 2 / fan-in."""
    kind, bound = fan_in_uniform(shape)
    return kind, math.sqrt(6) * bound


def convolution(out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0) -> Conv2d:
    return Conv2d(out_channels, kernel_size, stride, padding, weight_init=kaiming_uniform, bias_init=constant(0))


class Fire(Layer):
    """The paper's figure 1: `squeezed` channels, expanded to twice `expanded`."""

    def __init__(self, squeezed: int, expanded: int) -> None:
        self.relu = ReLU()
        self.squeeze = convolution(squeezed, 1)
        self.expand1x1 = convolution(expanded, 1)
        self.expand3x3 = convolution(expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.squeeze(x))
        return ops.concat([self.relu(self.expand1x1(x)), self.relu(self.expand3x3(x))])


def pool() -> MaxPool2d:
    """Return an overlapping max pooling that extends beyond the border instead of dropping a row."""
    return MaxPool2d(3, 2, ceil_mode=True)


class SqueezeNet(Layer):
    """Images N × C × H × W → N × `classes`; designed for 224 × 224, of any size from 17 × 17."""

    def __init__(self, classes: int) -> None:
        modules = [pool() if row is None else Fire(*row) for row in ROWS]
        self.features = Sequential(convolution(64, 3, stride=2), ReLU(), pool(), *modules)
        logits = Conv2d(classes, 1, weight_init=normal(0.01), bias_init=constant(0))
        self.classifier = Sequential(Dropout(), logits, ReLU(), GlobalAvgPool2d())
        self.flatten = Flatten()

    def forward(self, x: Tensor) -> Tensor:
        with at_least(MIN_SIZE, x):
            x = self.features(x)
        return self.flatten(self.classifier(x))


squeezenet1_1 = register("squeezenet1_1", SqueezeNet)
