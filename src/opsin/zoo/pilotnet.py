"""PilotNet: Bojarski, Del Testa, Dworakowski, Firner, Flepp, Goyal, Jackel, Monfort, Muller, Zhang, Zhang, Zhao &
Zieba, "End to end learning for self-driving cars", arXiv:1604.07316, 2016.

A camera image in, the steering command out: five convolutions without padding and four linear layers, trained on what
a human driver did. 252,219 parameters for 66 × 200 images and one number, of which the paper's figure 4 says 250
thousand; its 27 million connections are the MACs.

What the paper does not specify, or this network does differently:
- the activation is ReLU, as in most implementations;
- the normalization layer at the beginning, which is fixed in the paper, too, is the preprocessing of images; the paper
  feeds YUV planes, and this network takes whatever channels it is given;
- the figure has 1,164 numbers between convolutions and linear layers, but 64 maps of 1 × 18 are 1,152;
- images of 61 × 61 and more are taken, and the first linear layer has as many inputs as they leave: 2,496 for
  80 × 160 images, so that there are 386,619 parameters.
"""

from __future__ import annotations

from opsin.ir import Tensor
from opsin.nn import Conv2d, Flatten, Layer, Linear, ReLU, Sequential
from opsin.nn.initializers import constant, kaiming_normal
from opsin.zoo.registry import register
from opsin.zoo.sizes import at_least

CONVOLUTIONS = ((24, 5, 2), (36, 5, 2), (48, 5, 2), (64, 3, 1), (64, 3, 1))
"""Channels, kernel size and stride."""
UNITS = (100, 50, 10)
MIN_SIZE = 61


class PilotNet(Layer):
    """Images N × C × H × W → N × `outputs` numbers."""

    def __init__(self, outputs: int) -> None:
        features: list[Layer] = []
        for channels, kernel, stride in CONVOLUTIONS:
            conv = Conv2d(channels, kernel, stride, weight_init=kaiming_normal, bias_init=constant(0))
            features += [conv, ReLU()]
        numbers: list[Layer] = [Flatten()]
        for units in UNITS:
            numbers += [Linear(units, weight_init=kaiming_normal, bias_init=constant(0)), ReLU()]
        self.features = Sequential(*features)
        self.regressor = Sequential(*numbers, Linear(outputs))

    def forward(self, x: Tensor) -> Tensor:
        with at_least(MIN_SIZE, x):
            return self.regressor(self.features(x))


pilotnet = register("pilotnet", PilotNet, (3, 66, 200), 1, "regression")
