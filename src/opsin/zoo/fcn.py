"""FCN: Long, Shelhamer & Darrell, "Fully convolutional networks for semantic segmentation", CVPR 2015.

A network for classification becomes one for segmentation: convolutions replace its linear layers, so that it gives
class scores at every place, which are enlarged to the size of the image.

`fcn_resnet50` is torchvision's: a ResNet-50 whose last two stages are dilated instead of strided, so that scores are
computed at an eighth of the resolution and not at a 32nd; a head with one hidden convolution; and bilinear
enlargement. A second head on the third stage is an auxiliary classifier during training. Names of parameters and
initial values are torchvision's, so that its weights fit: 32,957,013 parameters for 21 classes, and 2,365,205 more in
training. The backbone starts from the weights of `resnet50` if they are asked for.
"""

from __future__ import annotations

from opsin.ir import Tensor
from opsin.nn import BatchNorm2d, Conv2d, Dropout, Layer, ReLU, Sequential
from opsin.zoo.registry import register
from opsin.zoo.resnet import Backbone, Bottleneck
from opsin.zoo.sizes import resized_like

AUXILIARY_WEIGHT = 0.5
"""The weight of the auxiliary classifier's loss, as in torchvision's training script."""


def head(channels: int, classes: int) -> Sequential:
    """Return a classifier of each place, for `channels` input channels."""
    hidden = Conv2d(channels // 4, 3, padding=1, bias=False)
    return Sequential(hidden, BatchNorm2d(), ReLU(), Dropout(0.1), Conv2d(classes, 1))


class FCN(Layer):
    """Images N × C × H × W of any size → logits N × `classes` × H × W."""

    def __init__(self, classes: int) -> None:
        self.backbone = Backbone(Bottleneck, (3, 4, 6, 3), dilated=True)
        self.classifier = head(2048, classes)
        self.aux_classifier = head(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        *_, third, fourth = self.backbone.stages(x)
        if self.training:
            self.auxiliary(resized_like(self.aux_classifier(third), x), AUXILIARY_WEIGHT)
        return resized_like(self.classifier(fourth), x)


fcn_resnet50 = register("fcn_resnet50", FCN, (3, 520, 520), 21, "segmentation", backbone="resnet50")
