"""DenseNet: Huang, Liu, van der Maaten & Weinberger, "Densely connected convolutional networks", CVPR 2017.

Every layer of a block reads the concatenated outputs of all layers before it and adds `GROWTH` channels: features are
reused instead of recomputed, and each layer has a short path to the loss. A 1 × 1 convolution to four times the growth
comes first in a layer ("B"), and one that halves the channels between blocks ("C"). Batch normalization and ReLU
precede each convolution. DenseNet-121 of the paper's table 1; 7,978,856 parameters.

Names of parameters, and initial values (He et al. 2015), are torchvision's. As there, there is no dropout; the paper
uses a dropout of 0.2 after each convolution when it trains without augmentation.
"""

from __future__ import annotations

from functools import partial

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)
from opsin.nn.initializers import constant, kaiming_normal
from opsin.zoo.registry import register
from opsin.zoo.sizes import at_least

GROWTH = 32
"""The channels that each layer adds."""

conv = partial(Conv2d, bias=False, weight_init=kaiming_normal)


class DenseLayer(Layer):
    """A layer of a block: its input, concatenated with `GROWTH` new channels."""

    def __init__(self) -> None:
        self.norm1, self.conv1 = BatchNorm2d(), conv(4 * GROWTH, 1)
        self.norm2, self.conv2 = BatchNorm2d(), conv(GROWTH, 3, padding=1)
        self.relu = ReLU()

    def forward(self, x: Tensor) -> Tensor:
        features = self.conv1(self.relu(self.norm1(x)))
        features = self.conv2(self.relu(self.norm2(features)))
        return ops.concat([x, features])


def dense_block(depth: int) -> Sequential:
    """Return `depth` dense layers."""
    return Sequential(*((f"denselayer{number}", DenseLayer()) for number in range(1, depth + 1)))


def transition(channels: int) -> Sequential:
    """Return layers that halve rows and columns and change the number of channels to `channels`."""
    return Sequential(
        ("norm", BatchNorm2d()), ("relu", ReLU()), ("conv", conv(channels, 1)), ("pool", AvgPool2d(2))
    )  # fmt: skip


class DenseNet(Layer):
    """Images N × C × H × W → N × `classes`; designed for 224 × 224, of any size from 29 × 29."""

    def __init__(self, depths: tuple[int, ...], classes: int) -> None:
        channels = 2 * GROWTH
        layers: list[tuple[str, Layer]] = [
            ("conv0", conv(channels, 7, stride=2, padding=3)), ("norm0", BatchNorm2d()), ("relu0", ReLU()),
            ("pool0", MaxPool2d(3, stride=2, padding=1)),
        ]  # fmt: skip
        for number, depth in enumerate(depths, start=1):
            layers.append((f"denseblock{number}", dense_block(depth)))
            channels += depth * GROWTH
            if number < len(depths):
                channels //= 2
                layers.append((f"transition{number}", transition(channels)))
        self.features = Sequential(*layers, ("norm5", BatchNorm2d()))
        self.relu, self.avgpool, self.flatten = ReLU(), GlobalAvgPool2d(), Flatten()
        self.classifier = Linear(classes, bias_init=constant(0))

    def forward(self, x: Tensor) -> Tensor:
        with at_least(29, x):
            x = self.features(x)
        return self.classifier(self.flatten(self.avgpool(self.relu(x))))


densenet121 = register("densenet121", partial(DenseNet, (6, 12, 24, 16)))
