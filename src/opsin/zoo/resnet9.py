"""A residual network of nine layers that trains fast: David Page, "How to train your ResNet", myrtle.ai, 2018.

3 × 3 convolutions, each with batch normalization and ReLU, increase the channels while max pooling halves the image
three times. A residual block of two more convolutions follows the first and the last pooling. The maximum of each
channel goes into one linear layer without bias. The logits are divided by 8, which keeps probabilities moderate at
large learning rates.

    3 → w₀, w₀ → w₁ ▽ + (w₁ → w₁ → w₁), w₁ → w₂ ▽, w₂ → w₃ ▽ + (w₃ → w₃ → w₃), max, linear

The widths there are 64, 128, 256 and 512; `resnet9_half` has half of them and a quarter of the MACs. Initial values are
He et al.'s (2015); the linear layer's are PyTorch's, as there.
"""

from __future__ import annotations

from functools import partial

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import BatchNorm2d, Conv2d, Flatten, GlobalMaxPool2d, Layer, Linear, MaxPool2d, ReLU, Sequential
from opsin.nn.initializers import kaiming_normal
from opsin.zoo.registry import register
from opsin.zoo.sizes import at_least

SCALE = 0.125
MIN_SIZE = 8
Widths = tuple[int, int, int, int]


def conv(channels: int, *after: tuple[str, Layer]) -> Sequential:
    """Return a 3 × 3 convolution, batch normalization and ReLU, followed by the layers `after`."""
    layer = Conv2d(channels, 3, padding=1, bias=False, weight_init=kaiming_normal)
    return Sequential(("conv", layer), ("bn", BatchNorm2d()), ("relu", ReLU()), *after)


class Residual(Layer):
    """x + F(x), where F is two convolutions, each followed by ReLU; there is no ReLU after the sum."""

    def __init__(self, channels: int) -> None:
        self.res1, self.res2 = conv(channels), conv(channels)

    def forward(self, x: Tensor) -> Tensor:
        return ops.add(self.res2(self.res1(x)), x)


class ResNet9(Layer):
    """Images N × C × H × W, designed for 32 × 32, of any size from 8 × 8 on → N × `classes`."""

    def __init__(self, widths: Widths, classes: int) -> None:
        first, second, third, fourth = widths
        self.prep = conv(first)
        self.layer1 = conv(second, ("pool", MaxPool2d(2)), ("residual", Residual(second)))
        self.layer2 = conv(third, ("pool", MaxPool2d(2)))
        self.layer3 = conv(fourth, ("pool", MaxPool2d(2)), ("residual", Residual(fourth)))
        self.pool, self.flatten = GlobalMaxPool2d(), Flatten()
        self.fc = Linear(classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        with at_least(MIN_SIZE, x):
            x = self.layer3(self.layer2(self.layer1(self.prep(x))))
        return ops.multiply(self.fc(self.flatten(self.pool(x))), SCALE)


cifar = partial(register, input_shape=(3, 32, 32), classes=10)

resnet9 = cifar("resnet9", partial(ResNet9, (64, 128, 256, 512)))
resnet9_half = cifar("resnet9_half", partial(ResNet9, (32, 64, 128, 256)))
