"""AlexNet, as in its two papers.

`alexnet_2012`: Krizhevsky, Sutskever & Hinton, "ImageNet classification with deep convolutional neural networks", NIPS
2012, the network that won that year's ImageNet challenge. It combined ReLUs, which train several times faster than
tanh; local response normalization; max pooling with overlapping windows; dropout; and training on two graphics
processors, which is why the second, fourth and fifth convolution have two groups that read half of the channels each.
60,965,224 parameters, initial values as in its section 5. Simplified:
- Images of 224 × 224, as in the text, are padded by 2; the first layer then gives the 55 × 55 of figure 2.
- Normalization runs over all channels of a layer, also across the two processors' halves.
- The paper's k + α Σ a² is written as the library's k + α'/n Σ a², hence α' = 5α.
- The rest of the training (crops, flips, colour shifts, momentum 0.9, weight decay 0.0005) is not part of the network.

`alexnet`: Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv:1404.5997, 2014, has the
network in one tower of 64, 192, 384, 384 and 256 channels. 61,100,840 parameters, names and initial values as in
torchvision, which has 256 channels in the fourth convolution, too, omits normalization, and averages the last feature
maps to 6 × 6, which makes the weights of the linear layers independent of the image size.
"""

from __future__ import annotations

from functools import partial

from opsin.ir import Tensor
from opsin.nn import (
    AdaptiveAvgPool2d,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    Sequential,
)
from opsin.nn.initializers import constant, normal
from opsin.zoo.registry import register
from opsin.zoo.sizes import at_least

MIN_SIZE = 63
"""Rows and columns of the smallest image for which the input of the last pooling is 3 × 3."""


class AlexNet(Layer):
    """Images N × C × H × W → N × `classes`; designed for 224 × 224, of any size from 63 × 63."""

    def __init__(self, classes: int) -> None:
        self.features = Sequential(
            Conv2d(64, 11, stride=4, padding=2), ReLU(), MaxPool2d(3, stride=2),
            Conv2d(192, 5, padding=2), ReLU(), MaxPool2d(3, stride=2),
            Conv2d(384, 3, padding=1), ReLU(),
            Conv2d(256, 3, padding=1), ReLU(),
            Conv2d(256, 3, padding=1), ReLU(), MaxPool2d(3, stride=2),
        )  # fmt: skip
        self.avgpool, self.flatten = AdaptiveAvgPool2d(6), Flatten()
        self.classifier = Sequential(Dropout(), Linear(4096), ReLU(), Dropout(), Linear(4096), ReLU(), Linear(classes))

    def forward(self, x: Tensor) -> Tensor:
        with at_least(MIN_SIZE, x):
            x = self.features(x)
        return self.classifier(self.flatten(self.avgpool(x)))


class AlexNet2012(Layer):
    """Images N × C × H × W → N × `classes`; designed for 224 × 224, of any size from 63 × 63.

    The parameters for one image size do not fit another: the first linear layer has a weight for each position of the
    last feature maps.
    """

    def __init__(self, classes: int) -> None:
        initial = normal(0.01)
        conv, linear = partial(Conv2d, weight_init=initial), partial(Linear, weight_init=initial)
        # "We initialized the neuron biases in the second, fourth, and fifth convolutional layers, as well as in the
        # fully-connected hidden layers, with the constant 1": ReLUs start with positive inputs.
        zero, one = constant(0), constant(1)
        self.conv1 = conv(96, 11, stride=4, padding=2, bias_init=zero)
        self.conv2 = conv(256, 5, padding=2, groups=2, bias_init=one)
        self.conv3 = conv(384, 3, padding=1, bias_init=zero)
        self.conv4 = conv(384, 3, padding=1, groups=2, bias_init=one)
        self.conv5 = conv(256, 3, padding=1, groups=2, bias_init=one)
        self.norm1 = LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2)
        self.norm2 = LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2)
        self.pool1, self.pool2, self.pool5 = (MaxPool2d(3, stride=2) for _ in range(3))
        self.fc6, self.dropout6 = linear(4096, bias_init=one), Dropout()
        self.fc7, self.dropout7 = linear(4096, bias_init=one), Dropout()
        self.fc8 = linear(classes, bias_init=zero)
        self.relu, self.flatten = ReLU(), Flatten()

    def forward(self, x: Tensor) -> Tensor:
        with at_least(MIN_SIZE, x):
            x = self.pool1(self.norm1(self.relu(self.conv1(x))))
            x = self.pool2(self.norm2(self.relu(self.conv2(x))))
            x = self.relu(self.conv4(self.relu(self.conv3(x))))
            x = self.flatten(self.pool5(self.relu(self.conv5(x))))
        x = self.dropout6(self.relu(self.fc6(x)))
        x = self.dropout7(self.relu(self.fc7(x)))
        return self.fc8(x)


alexnet = register("alexnet", AlexNet)
alexnet_2012 = register("alexnet_2012", AlexNet2012)
