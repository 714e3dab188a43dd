"""VGG: Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015.

Only 3 × 3 convolutions, each followed by a ReLU, and 2 × 2 max pooling: two convolutions in a row read 5 × 5 pixels,
three read 7 × 7, with fewer parameters than one large kernel and more non-linearity. The columns A, B, D and E of the
paper's table 1 are the rows of `DEPTHS`; the "16" of vgg16 counts the layers with weights.

Unlike the paper:
- After the last pooling the feature maps are averaged to 7 × 7, as in torchvision, which makes the weights of the first
  linear layer independent of the image size. At the paper's 224 × 224 this changes nothing.
- The variants "_bn" have batch normalization (Ioffe & Szegedy 2015), which came later, after each convolution.
- Initial values are torchvision's (He et al. 2015 by fan-out; linear layers normal with 0.01). The authors used a
  normal distribution of variance 0.01, and initialised the deeper networks from a trained A.
- Column C, with 1 × 1 convolutions, and A with local response normalization are omitted.
"""

from __future__ import annotations

from functools import partial

from opsin.ir import Tensor
from opsin.nn import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)
from opsin.nn.initializers import constant, kaiming_normal_fan_out, normal
from opsin.zoo.registry import register
from opsin.zoo.sizes import at_least

CHANNELS = (64, 128, 256, 512, 512)
"""The channels of the five stages; a max pooling follows each."""

DEPTHS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
"""The numbers of convolutions of the five stages, for each network."""

conv = partial(Conv2d, kernel_size=3, padding=1, weight_init=kaiming_normal_fan_out, bias_init=constant(0))
linear = partial(Linear, weight_init=normal(0.01), bias_init=constant(0))


class VGG(Layer):
    """Images N × C × H × W → N × `classes`; designed for 224 × 224, of any size from 32 × 32."""

    def __init__(self, depth: int, batch_norm: bool, classes: int) -> None:
        layers: list[Layer] = []
        for channels, count in zip(CHANNELS, DEPTHS[depth], strict=True):
            for _ in range(count):
                layers += [conv(channels), BatchNorm2d(), ReLU()] if batch_norm else [conv(channels), ReLU()]
            layers.append(MaxPool2d(2))
        self.features = Sequential(*layers)
        self.avgpool, self.flatten = AdaptiveAvgPool2d(7), Flatten()
        self.classifier = Sequential(
            linear(4096), ReLU(), Dropout(0.5), linear(4096), ReLU(), Dropout(0.5), linear(classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        with at_least(32, x):
            x = self.features(x)
        return self.classifier(self.flatten(self.avgpool(x)))


vgg11 = register("vgg11", partial(VGG, 11, False))
vgg13 = register("vgg13", partial(VGG, 13, False))
vgg16 = register("vgg16", partial(VGG, 16, False))
vgg19 = register("vgg19", partial(VGG, 19, False))
vgg11_bn = register("vgg11_bn", partial(VGG, 11, True))
vgg13_bn = register("vgg13_bn", partial(VGG, 13, True))
vgg16_bn = register("vgg16_bn", partial(VGG, 16, True))
vgg19_bn = register("vgg19_bn", partial(VGG, 19, True))
