"""GoogLeNet: Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke & Rabinovich, "Going deeper with
convolutions", CVPR 2015, which won ImageNet's challenge of 2014.

An inception module applies 1 × 1, 3 × 3 and 5 × 5 convolutions and max pooling to its input in parallel; cheap 1 × 1
convolutions reduce the channels first. Nine such modules follow each other, and the mean of each channel replaces the
large linear layers of earlier networks: 7 million parameters in 22 layers. Two auxiliary classifiers on inner modules,
whose losses count 0.3 each, help gradients to reach the lower half during training, and are removed afterwards.

`googlenet_2014` is the paper's table 1 and figure 3. 6,998,552 parameters, and 6,379,728 more in training. What the
paper does not specify is chosen here:
- the constants of local response normalization: a window of 5, alpha 0.0001 and beta 0.75, as in Caffe's version;
- initial values: He et al. 2015, biases 0;
- strided poolings extend beyond the border, so that 112 pixels become 56 as in the table.

`googlenet` is torchvision's, with its names and initial values: batch normalization (Ioffe & Szegedy 2015) in place of
biases and of local response normalization, 3 × 3 convolutions where the paper has 5 × 5, 2 × 2 windows in the fourth
pooling, and auxiliary classifiers that average to 4 × 4 and so fit every image size. 6,624,904 parameters, and
6,379,984 more in training. Its published weights expect images scaled to -1…1: mean and deviation are both 0.5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Identity,
    Layer,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
)
from opsin.nn.initializers import constant, kaiming_normal, normal
from opsin.zoo.registry import register
from opsin.zoo.sizes import at_least

AUXILIARY_WEIGHT = 0.3
"""The weight of each auxiliary classifier's loss."""


@dataclass(frozen=True)
class Variant:
    """The differences between the paper's network and torchvision's."""

    conv: Callable[..., Layer]
    """A convolution and what follows it, up to its ReLU."""
    large_kernel: int
    """The kernel size of the third branch of an inception module."""
    last_pool: int
    """The kernel size of the fourth pooling."""
    norm: Callable[[], Layer]
    """After the first and before the second pooling."""
    dropout: float
    linear: Callable[[int], Layer]
    auxiliary_pool: Callable[[], Layer]
    min_size: int
    """The minimum rows and columns of an image."""
    min_size_training: int
    """The same during training, with the auxiliary classifiers."""


class PlainConv(Conv2d):
    """A convolution and its ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.relu(super().forward(x))


class NormConv(Layer):
    """A convolution, batch normalization and ReLU."""

    def __init__(self, out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0) -> None:
        self.conv = Conv2d(out_channels, kernel_size, stride, padding, bias=False, weight_init=normal(0.01))
        self.bn, self.relu = BatchNorm2d(eps=1e-3), ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv(x)))


class Inception(Layer):
    """Figure 2(b): four branches of `one`, `three`, `five` and `pooled` channels, concatenated."""

    def __init__(
        self, variant: Variant, one: int, reduce3: int, three: int, reduce5: int, five: int, pooled: int
    ) -> None:
        conv, kernel = variant.conv, variant.large_kernel
        self.branch1 = conv(one, 1)
        self.branch2 = [conv(reduce3, 1), conv(three, 3, padding=1)]
        self.branch3 = [conv(reduce5, 1), conv(five, kernel, padding=kernel // 2)]
        self.branch4 = [MaxPool2d(3, stride=1, padding=1), conv(pooled, 1)]

    def forward(self, x: Tensor) -> Tensor:
        branches = [self.branch1(x)]
        for first, second in (self.branch2, self.branch3, self.branch4):
            branches.append(second(first(x)))
        return ops.concat(branches)


class Auxiliary(Layer):
    """An auxiliary classifier on an inner layer."""

    def __init__(self, variant: Variant, classes: int) -> None:
        self.pool, self.conv, self.flatten = variant.auxiliary_pool(), variant.conv(128, 1), Flatten()
        self.fc1, self.relu, self.dropout = variant.linear(1024), ReLU(), Dropout(0.7)
        self.fc2 = variant.linear(classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.flatten(self.conv(self.pool(x)))
        return self.fc2(self.dropout(self.relu(self.fc1(x))))


class GoogLeNet(Layer):
    """Images N × C × H × W → N × `classes`; designed for 224 × 224. See `Variant` for the smallest size."""

    def __init__(self, variant: Variant, classes: int) -> None:
        module, pool = partial(Inception, variant), partial(MaxPool2d, stride=2, ceil_mode=True)
        self.variant = variant
        self.conv1, self.maxpool1, self.norm1 = variant.conv(64, 7, stride=2, padding=3), pool(3), variant.norm()
        self.conv2, self.conv3 = variant.conv(64, 1), variant.conv(192, 3, padding=1)
        self.norm2, self.maxpool2 = variant.norm(), pool(3)
        self.inception3a = module(64, 96, 128, 16, 32, 32)
        self.inception3b = module(128, 128, 192, 32, 96, 64)
        self.maxpool3 = pool(3)
        self.inception4a = module(192, 96, 208, 16, 48, 64)
        self.inception4b = module(160, 112, 224, 24, 64, 64)
        self.inception4c = module(128, 128, 256, 24, 64, 64)
        self.inception4d = module(112, 144, 288, 32, 64, 64)
        self.inception4e = module(256, 160, 320, 32, 128, 128)
        self.maxpool4 = pool(variant.last_pool)
        self.inception5a = module(256, 160, 320, 32, 128, 128)
        self.inception5b = module(384, 192, 384, 48, 128, 128)
        self.avgpool, self.flatten, self.dropout = GlobalAvgPool2d(), Flatten(), Dropout(variant.dropout)
        self.fc = variant.linear(classes)
        self.aux1, self.aux2 = Auxiliary(variant, classes), Auxiliary(variant, classes)

    def forward(self, x: Tensor) -> Tensor:
        with at_least(self.variant.min_size_training if self.training else self.variant.min_size, x):
            x = self.norm1(self.maxpool1(self.conv1(x)))
            x = self.maxpool2(self.norm2(self.conv3(self.conv2(x))))
            x = self.maxpool3(self.inception3b(self.inception3a(x)))
            x = self.inception4a(x)
            if self.training:
                self.auxiliary(self.aux1(x), AUXILIARY_WEIGHT)
            x = self.inception4d(self.inception4c(self.inception4b(x)))
            if self.training:
                self.auxiliary(self.aux2(x), AUXILIARY_WEIGHT)
            x = self.maxpool4(self.inception4e(x))
        x = self.inception5b(self.inception5a(x))
        return self.fc(self.dropout(self.flatten(self.avgpool(x))))


PAPER = Variant(
    conv=partial(PlainConv, weight_init=kaiming_normal, bias_init=constant(0)),
    large_kernel=5,
    last_pool=3,
    norm=partial(LocalResponseNorm, 5, alpha=1e-4, beta=0.75, k=1),
    dropout=0.4,
    linear=partial(Linear, weight_init=kaiming_normal, bias_init=constant(0)),
    auxiliary_pool=partial(AvgPool2d, 5, stride=3),
    min_size=31,
    min_size_training=79,
)
TORCHVISION = Variant(
    conv=NormConv,
    large_kernel=3,
    last_pool=2,
    norm=Identity,
    dropout=0.2,
    linear=partial(Linear, weight_init=normal(0.01)),
    auxiliary_pool=partial(AdaptiveAvgPool2d, 4),
    min_size=15,
    min_size_training=15,
)

googlenet = register("googlenet", partial(GoogLeNet, TORCHVISION))
googlenet_2014 = register("googlenet_2014", partial(GoogLeNet, PAPER))
