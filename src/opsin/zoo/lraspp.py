"""LR-ASPP with MobileNetV3: Howard et al., "Searching for MobileNetV3", ICCV 2019, section 6.4 and figure 10.

A segmentation network for mobile devices. The features of MobileNetV3 at a 16th of the resolution are weighted by a
function of their means over the image (the paper averages over large windows), and the scores that follow from them
are added to those from features at an eighth of the resolution, which have the details.

The network is torchvision's `lraspp_mobilenet_v3_large`, with its names of parameters and initial values: the last
three blocks are dilated instead of strided. 3,221,538 parameters for 21 classes. The backbone starts from the weights
of `mobilenet_v3_large` if they are asked for.
"""

from __future__ import annotations

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import BatchNorm2d, Conv2d, GlobalAvgPool2d, Layer, ReLU, Sequential, Sigmoid
from opsin.zoo.mobilenet_v3 import LARGE_BLOCKS, feature_layers
from opsin.zoo.registry import register
from opsin.zoo.sizes import resized_like

CHANNELS = 128
"""Channels of the head."""
LOW = 4
"""The layer of the backbone whose output has an eighth of the resolution."""
DILATED = 12
"""The first row of the table whose block is dilated."""

ROWS = (*LARGE_BLOCKS[:DILATED], *(row._replace(stride=1, dilation=2) for row in LARGE_BLOCKS[DILATED:]))


class Head(Layer):
    """The scores of each place, at the resolution of `low`."""

    def __init__(self, classes: int) -> None:
        self.cbr = Sequential(Conv2d(CHANNELS, 1, bias=False), BatchNorm2d(), ReLU())
        self.scale = Sequential(GlobalAvgPool2d(), Conv2d(CHANNELS, 1, bias=False), Sigmoid())
        self.low_classifier = Conv2d(classes, 1)
        self.high_classifier = Conv2d(classes, 1)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        weighted = ops.multiply(self.cbr(high), self.scale(high))
        return ops.add(self.low_classifier(low), self.high_classifier(resized_like(weighted, low)))


class LRASPP(Layer):
    """Images N × C × H × W of any size → logits N × `classes` × H × W."""

    def __init__(self, classes: int) -> None:
        self.backbone = Sequential(*feature_layers(ROWS))
        self.classifier = Head(classes)

    def forward(self, x: Tensor) -> Tensor:
        outputs = [x]
        for _, layer in self.backbone.children():
            outputs.append(layer(outputs[-1]))
        return resized_like(self.classifier(outputs[LOW + 1], outputs[-1]), x)


lraspp_mobilenet_v3_large = register(
    "lraspp_mobilenet_v3_large", LRASPP, (3, 520, 520), 21, "segmentation", backbone="mobilenet_v3_large.features"
)
