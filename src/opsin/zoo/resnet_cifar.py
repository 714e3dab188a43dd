"""The small residual networks for CIFAR-10: section 4.2 of He, Zhang, Ren & Sun, "Deep residual learning for image
recognition", CVPR 2016.

One 3 × 3 convolution, three stages of n blocks on maps of 32 × 32, 16 × 16 and 8 × 8 with 16, 32 and 64 channels, the
mean of each channel, one linear layer: 6n + 2 layers with weights. Shortcuts have no parameters (the paper's option
A): if a block halves the image, its shortcut takes every second pixel, and the new channels are 0.

Initial values are the paper's (He et al. 2015). The paper's learning rates, 0.1 after a warm-up at 0.01 for 110
layers, are not part of the network. The added zeros come after the old channels; the paper does not say where.
"""

from __future__ import annotations

from functools import partial

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import BatchNorm2d, Conv2d, Flatten, GlobalAvgPool2d, Layer, Linear, ReLU, Sequential
from opsin.nn.initializers import constant, kaiming_normal
from opsin.zoo.registry import register

conv = partial(Conv2d, kernel_size=3, padding=1, bias=False, weight_init=kaiming_normal)


class PaddedShortcut(Layer):
    """Every second pixel, and `added` channels of zeros after the others."""

    def __init__(self, added: int) -> None:
        self.added = added

    def forward(self, x: Tensor) -> Tensor:
        subsampled = ops.slice(x, (0, 0, 0, 0), x.shape, (1, 1, 2, 2))
        return ops.pad(subsampled, (0, 0, 0, 0), (0, self.added, 0, 0))


class Block(Layer):
    """y = relu(F(x) + x), where F is two 3 × 3 convolutions."""

    def __init__(self, channels: int, halve: bool) -> None:
        self.conv1, self.bn1 = conv(channels, stride=2 if halve else 1), BatchNorm2d()
        self.conv2, self.bn2 = conv(channels), BatchNorm2d()
        self.shortcut = PaddedShortcut(channels // 2) if halve else None
        self.relu = ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(ops.add(y, self.shortcut(x) if self.shortcut else x))


class CifarResNet(Layer):
    """Images N × C × H × W of any size → N × `classes`; designed for 32 × 32. `depth` is 6n + 2."""

    def __init__(self, depth: int, classes: int) -> None:
        def stage(channels: int, halve: bool) -> Sequential:
            return Sequential(*(Block(channels, halve and number == 0) for number in range((depth - 2) // 6)))

        self.conv1, self.bn1, self.relu = conv(16), BatchNorm2d(), ReLU()
        self.layer1 = stage(16, halve=False)
        self.layer2 = stage(32, halve=True)
        self.layer3 = stage(64, halve=True)
        self.avgpool, self.flatten = GlobalAvgPool2d(), Flatten()
        self.fc = Linear(classes, weight_init=kaiming_normal, bias_init=constant(0))

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.flatten(self.avgpool(x)))


cifar = partial(register, input_shape=(3, 32, 32), classes=10)

resnet20_cifar = cifar("resnet20_cifar", partial(CifarResNet, 20))
resnet32_cifar = cifar("resnet32_cifar", partial(CifarResNet, 32))
resnet44_cifar = cifar("resnet44_cifar", partial(CifarResNet, 44))
resnet56_cifar = cifar("resnet56_cifar", partial(CifarResNet, 56))
resnet110_cifar = cifar("resnet110_cifar", partial(CifarResNet, 110))
resnet1202_cifar = cifar("resnet1202_cifar", partial(CifarResNet, 1202))
