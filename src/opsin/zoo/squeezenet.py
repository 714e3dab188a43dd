"""SqueezeNet: Iandola, Han, Moskewicz, Ashraf, Dally & Keutzer, "SqueezeNet: AlexNet-level accuracy with 50× fewer
parameters and <0.5MB model size", arXiv:1602.07360, 2016.

The paper's idea is the Fire module: a 1 × 1 convolution squeezes the channels to a few, and an expand layer reads these
with as many 1 × 1 as 3 × 3 filters, side by side. There is no fully connected layer: a 1 × 1 convolution gives one map
a class, and its mean is the logit. Pooling comes late, so that most layers see large maps.

`squeezenet1_1` is the authors' own revision of the same year: a first convolution of 64 filters of 3 × 3 for the
paper's 96 of 7 × 7, and earlier pooling, for 2.4 times less computation at the same accuracy. 1,235,496 parameters.

Names are torchvision's, and so are first values, uniform after He et al. 2015.
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

SMALLEST = 17
"""Rows and columns of an image that the last pooling still finds something of."""


def kaiming_uniform(shape: Shape) -> Init:
    """Uniform with variance 2 / (inputs of a unit)."""
    kind, bound = fan_in_uniform(shape)
    return kind, math.sqrt(6) * bound


def convolution(out: int, kernel: int, stride: int = 1, padding: int = 0) -> Conv2d:
    return Conv2d(out, kernel, stride, padding, weight_init=kaiming_uniform, bias_init=constant(0))


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
    """Overlapping, and reaching beyond the border rather than leaving a row out."""
    return MaxPool2d(3, 2, ceil_mode=True)


class SqueezeNet(Layer):
    """Images N × C × H × W → N × `classes`; made for 224 × 224, and takes any size from 17 × 17."""

    def __init__(self, classes: int) -> None:
        modules = [pool() if row is None else Fire(*row) for row in ROWS]
        self.features = Sequential(convolution(64, 3, stride=2), ReLU(), pool(), *modules)
        scores = Conv2d(classes, 1, weight_init=normal(0.01), bias_init=constant(0))
        self.classifier = Sequential(Dropout(), scores, ReLU(), GlobalAvgPool2d())
        self.flatten = Flatten()

    def forward(self, x: Tensor) -> Tensor:
        with at_least(SMALLEST, x):
            x = self.features(x)
        return self.flatten(self.classifier(x))


squeezenet1_1 = register("squeezenet1_1", SqueezeNet)
