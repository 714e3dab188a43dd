"""Networks that learn to classify small photos in few epochs: Keller Jordan, "94% on CIFAR-10 in 3.29 seconds on a
single GPU", 2024 (arXiv:2404.00498), section 3 and appendix A.

A layer that is computed from the training images and not trained whitens patches of 2 × 2 pixels. Three blocks follow,
each with a convolution that increases the channels, max pooling that halves the image, and another convolution. The
maximum of each channel goes into one linear layer without bias. The logits are divided by 9.

    whitened 2 × 2 patches, GELU, (C₀ → w ▽, C → C …) three times, max, linear

Batch normalization has biases only, and its running statistics adapt within few steps. 3 × 3 convolutions start as the
identity for as many channels as they can copy. `airbench94` has 64, 256 and 256 channels; `airbench95` has 128, 384 and
384, and a third convolution in each block with a shortcut from the result of pooling. The numbers in the names are the
accuracies in percent on CIFAR-10 in the paper, with six views of each test image.
"""

from __future__ import annotations

from functools import partial

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import GELU, BatchNorm2d, Conv2d, Flatten, GlobalMaxPool2d, Layer, Linear, MaxPool2d, Whitening
from opsin.nn.initializers import identity
from opsin.zoo.registry import register
from opsin.zoo.sizes import at_least

SCALE = 1 / 9
MIN_SIZE = 9
MOMENTUM = 0.4
"""The momentum of the running statistics."""


class Unit(Layer):
    """A 3 × 3 convolution, max pooling if `halving`, batch normalization with a bias only, GELU."""

    def __init__(self, channels: int, halving: bool = False) -> None:
        self.conv = Conv2d(channels, 3, padding=1, bias=False, weight_init=identity)
        self.pool = MaxPool2d(2) if halving else None
        self.norm = BatchNorm2d(momentum=MOMENTUM, scale=False)
        self.act = GELU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.act(self.norm(self.pool(x) if self.pool else x))


class Block(Layer):
    """A unit that halves the image, and one or two more; with two, a shortcut adds the result of the first unit."""

    def __init__(self, channels: int, deep: bool) -> None:
        self.first, self.second = Unit(channels, halving=True), Unit(channels)
        self.third = Unit(channels) if deep else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        y = self.second(x)
        return ops.add(self.third(y), x) if self.third else y


class Airbench(Layer):
    """Images N × C × H × W, designed for 32 × 32, of any size from 9 × 9 on → N × `classes`."""

    def __init__(self, widths: tuple[int, int, int], deep: bool, classes: int) -> None:
        self.whiten, self.act = Whitening(), GELU()
        self.blocks = [Block(channels, deep) for channels in widths]
        self.pool, self.flatten = GlobalMaxPool2d(), Flatten()
        self.fc = Linear(classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        with at_least(MIN_SIZE, x):
            x = self.act(self.whiten(x))
            for block in self.blocks:
                x = block(x)
        return ops.multiply(self.fc(self.flatten(self.pool(x))), SCALE)


cifar = partial(register, input_shape=(3, 32, 32), classes=10)

airbench94 = cifar("airbench94", partial(Airbench, (64, 256, 256), False))
airbench95 = cifar("airbench95", partial(Airbench, (128, 384, 384), True))
