"""LeNet-5 as in its paper: LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to document
recognition", Proceedings of the IEEE 86(11), 1998, section II.B.

As in the paper: the layers C1, S2, C3, S4, C5, F6 and their sizes; subsampling with a trainable coefficient and bias
for each feature map; the table of connections from S2 to C3; and the squashing function 1.7159 tanh(2x/3) after every
layer up to F6. These layers have the paper's 60,000 parameters.

Simplified:
- A trainable linear layer with cross-entropy replaces the radial basis functions of the output, which are fixed to
  bitmaps of the characters: 850 parameters more.
- C3's weight is dense and multiplied by the table of zeros and ones: 900 of its numbers are never used or trained.
- The paper centres 28 × 28 digits in 32 × 32 images; here C1 pads by 2, which is the same if the background is 0.
- The paper's subsampling adds four inputs, this one averages them: the coefficient is four times as large.
- Weights are initialised uniformly within ±1/√fan-in, as everywhere in Opsin, not within ±2.4/fan-in.
"""

from __future__ import annotations

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import Conv2d, Flatten, Layer, Linear, Sequential, fan_in_uniform
from opsin.zoo.registry import register

CONNECTIONS = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip
"""The paper's table I: for each feature map of C3, the feature maps of S2 that it reads."""


class ScaledTanh(Layer):
    """1.7159 tanh(2x/3), which maps ±1 to ±1, where its second derivative is largest."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.multiply(ops.tanh(ops.multiply(x, 2 / 3)), 1.7159)


class Subsampling(Layer):
    """The mean of each 2 × 2 window, times a `weight` plus a `bias` per channel."""

    def forward(self, x: Tensor) -> Tensor:
        pooled = ops.avg_pool2d(x, 2)
        channels = pooled.shape[1]
        weight = self.parameter("weight", (channels,), ("ones",))
        bias = self.parameter("bias", (channels,), ("zeros",))
        products = ops.multiply(pooled, ops.reshape(weight, (channels, 1, 1)))
        return ops.add(products, ops.reshape(bias, (channels, 1, 1)))


class TableConv2d(Layer):
    """A 5 × 5 convolution whose output channels read only the input channels listed in `CONNECTIONS`."""

    def forward(self, x: Tensor) -> Tensor:
        filters, channels = len(CONNECTIONS), 1 + max(map(max, CONNECTIONS))
        mask = tuple(float(channel in row) for row in CONNECTIONS for channel in range(channels))
        table = self.parameter("table", (filters, channels, 1, 1), ("values", mask), trainable=False)
        shape = (filters, channels, 5, 5)
        weight = self.parameter("weight", shape, fan_in_uniform(shape))
        bias = self.parameter("bias", (filters,), fan_in_uniform(shape))
        return ops.conv2d(x, ops.multiply(weight, table), bias)


def network(classes: int) -> Layer:
    """Images N × C × 28 × 28 → N × `classes`."""
    return Sequential(
        ("c1", Conv2d(6, 5, padding=2)),
        ("squash1", ScaledTanh()),
        ("s2", Subsampling()),
        ("squash2", ScaledTanh()),
        ("c3", TableConv2d()),
        ("squash3", ScaledTanh()),
        ("s4", Subsampling()),
        ("squash4", ScaledTanh()),
        ("c5", Conv2d(120, 5)),
        ("squash5", ScaledTanh()),
        ("flatten", Flatten()),
        ("f6", Linear(84)),
        ("squash6", ScaledTanh()),
        ("output", Linear(classes)),
    )


lenet5_1998 = register("lenet5_1998", network, (1, 28, 28), classes=10)
