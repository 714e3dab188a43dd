"""MobileNet: Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto & Adam, "MobileNets: efficient convolutional
neural networks for mobile vision applications", arXiv:1704.04861, 2017.

The paper factorises each convolution: a depthwise one filters every channel separately with a 3 × 3 kernel, and a
pointwise (1 × 1) one mixes the channels. Together they need eight to nine times fewer MACs than a full 3 × 3
convolution. Its table 1 is `BLOCKS` below; 4,231,976 parameters.

As in the authors' code, the activation is ReLU6; the paper says ReLU. Padding is symmetric, as in timm, whose
`mobilenetv1_100` has the same names; for a stride of 2, TensorFlow pads only below and on the right.
"""

from __future__ import annotations

from opsin.ir import Tensor
from opsin.nn import BatchNorm2d, Conv2d, Flatten, GlobalAvgPool2d, Layer, Linear, ReLU6, Sequential
from opsin.nn.initializers import kaiming_normal_fan_out
from opsin.zoo.registry import register

BLOCKS = (
    ((1, 64),),
    ((2, 128), (1, 128)),
    ((2, 256), (1, 256)),
    ((2, 512), (1, 512), (1, 512), (1, 512), (1, 512), (1, 512)),
    ((2, 1024), (1, 1024)),
)
"""Stride and output channels of each depthwise separable convolution, in stages of equal size."""


class DepthwiseSeparable(Layer):
    """The paper's figure 3: 3 × 3 depthwise and 1 × 1 convolution, each with batch normalization and activation."""

    def __init__(self, channels: int, stride: int, out: int) -> None:
        self.conv_dw = Conv2d(channels, 3, stride, 1, groups=channels, bias=False, weight_init=kaiming_normal_fan_out)
        self.bn1, self.act1 = BatchNorm2d(), ReLU6()
        self.conv_pw = Conv2d(out, 1, bias=False, weight_init=kaiming_normal_fan_out)
        self.bn2, self.act2 = BatchNorm2d(), ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn1(self.conv_dw(x)))
        return self.act2(self.bn2(self.conv_pw(x)))


def network(classes: int) -> Layer:
    """Images N × C × H × W → N × `classes`, of any size."""
    channels, stages = 32, []
    for stage in BLOCKS:
        blocks = []
        for stride, out in stage:
            blocks.append(DepthwiseSeparable(channels, stride, out))
            channels = out
        stages.append(Sequential(*blocks))
    stem = Conv2d(32, 3, 2, 1, bias=False, weight_init=kaiming_normal_fan_out)
    return Sequential(
        ("conv_stem", stem),
        ("bn1", BatchNorm2d()),
        ("act1", ReLU6()),
        ("blocks", Sequential(*stages)),
        ("global_pool", GlobalAvgPool2d()),
        ("flatten", Flatten()),
        ("classifier", Linear(classes)),
    )


mobilenet_v1 = register("mobilenet_v1", network)
