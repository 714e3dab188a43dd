"""A one-stage detector without anchors for the CPU: FCOS on EfficientNet-Lite0.

- Dense prediction: every cell of four maps, of strides 8 to 64, predicts scores of the classes and the distances to the
  four edges of the box around it: Tian, Shen, Chen & He, "FCOS: fully convolutional one-stage object detection", ICCV
  2019. A score stands for both the class and the quality of the box, so that there is no output for the latter: Li et
  al., "Generalized focal loss", NeurIPS 2020.
- The maps come from a feature pyramid, top-down (Lin et al., "Feature pyramid networks for object detection", CVPR
  2017) and bottom-up (Liu et al., "Path aggregation network for instance segmentation", CVPR 2018).
- Convolutions after the backbone are depthwise separable. Those of the heads are the same for all strides, with batch
  normalization of their own for each: Tan, Pang & Le, "EfficientDet: scalable and efficient object detection", CVPR
  2020.
- The backbone is EfficientNet-Lite0 without its head (Liu 2020, see `efficientnet_lite`), whose names are kept after
  "backbone.", so that its published weights load.
"""

from __future__ import annotations

import math
from functools import partial

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import BatchNorm2d, Conv2d, Layer, ReLU, ReLU6, Sequential, named_layers
from opsin.nn.initializers import constant, kaiming_normal_fan_out, normal
from opsin.zoo import efficientnet_lite
from opsin.zoo.registry import register
from opsin.zoo.sizes import resized_like

STRIDES = (8, 16, 32, 64)
"""Input pixels between the points of each map."""
TAPS = (2, 4, 6)
"""Stages of the backbone whose results are used, with strides 8, 16 and 32."""
WIDTH = 96
"""Channels of the pyramid and the heads."""
DEPTH = 2
"""Separable convolutions in each head."""
PRIOR = 0.01
"""The score that every class has at first, so that the many points without an object do not dominate the first steps:
Lin et al., "Focal loss for dense object detection", ICCV 2017."""
FIRST_DISTANCE = 4.0
"""The distance of all edges at first, in strides: about half the size of the objects that a map is for."""
MAX_LOG_DISTANCE = 7.0
"""Distances are limited to e^7 = 1,097 strides, so that none becomes infinite."""

conv = partial(Conv2d, padding="same", bias=False, weight_init=kaiming_normal_fan_out)
MOMENTUM = 0.1
"""Of the running statistics, also those of the backbone: detectors are trained for fewer steps than classifiers."""

norm = partial(BatchNorm2d, eps=1e-3, momentum=MOMENTUM)


class Backbone(Layer):
    """EfficientNet-Lite0 up to its last stage."""

    def __init__(self) -> None:
        width, depth, _, _ = efficientnet_lite.SIZES[0]
        self.conv_stem, self.bn1, self.act1 = efficientnet_lite.conv(32, 3, 2), efficientnet_lite.norm(), ReLU6()
        self.blocks = efficientnet_lite.stage_layers(width, depth)
        for layer in named_layers(self).values():
            if isinstance(layer, BatchNorm2d):
                layer.momentum = MOMENTUM

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the maps of strides 8, 16 and 32."""
        x = self.act1(self.bn1(self.conv_stem(x)))
        maps = []
        for stage in self.blocks:
            x = stage(x)
            maps.append(x)
        return [maps[number] for number in TAPS]


class Separable(Layer):
    """A depthwise and a pointwise convolution, then `levels` batch normalizations, of which each use takes one."""

    def __init__(self, stride: int = 1, levels: int = 1) -> None:
        self.conv_dw, self.conv_pw = conv(WIDTH, 3, stride, groups=WIDTH), conv(WIDTH, 1)
        self.bn, self.act = [norm() for _ in range(levels)], ReLU()

    def forward(self, x: Tensor, level: int = 0) -> Tensor:
        return self.act(self.bn[level](self.conv_pw(self.conv_dw(x))))


class Pyramid(Layer):
    """Mixes maps of strides 8, 16 and 32, top-down, then bottom-up, and adds one of stride 64."""

    def __init__(self) -> None:
        self.lateral = [Sequential(conv(WIDTH, 1), norm(), ReLU()) for _ in TAPS]
        self.top_down = [Separable() for _ in TAPS[1:]]
        self.down = [Separable(stride=2) for _ in TAPS]
        self.bottom_up = [Separable() for _ in TAPS[1:]]

    def mix(self, maps: list[Tensor]) -> list[Tensor]:
        """Return the four mixed maps, the largest first."""
        fine, middle, coarse = (lateral(x) for lateral, x in zip(self.lateral, maps, strict=True))
        middle = self.top_down[1](ops.add(middle, resized_like(coarse, middle, "nearest")))
        fine = self.top_down[0](ops.add(fine, resized_like(middle, fine, "nearest")))
        middle = self.bottom_up[0](ops.add(middle, self.down[0](fine)))
        coarse = self.bottom_up[1](ops.add(coarse, self.down[1](middle)))
        return [fine, middle, coarse, self.down[2](coarse)]


class Head(Layer):
    """Predicts `outputs` numbers for each point of each map. `bias` is what it predicts at first."""

    def __init__(self, outputs: int, bias: float) -> None:
        self.tower = [Separable(levels=len(STRIDES)) for _ in range(DEPTH)]
        self.predict = Conv2d(outputs, 1, weight_init=normal(0.01), bias_init=constant(bias))

    def predictions(self, maps: list[Tensor]) -> Tensor:
        """Return N × points × `outputs`: the points of the first map row by row, then those of the next."""
        return ops.concat([self._of_map(x, level) for level, x in enumerate(maps)], axis=1)

    def _of_map(self, x: Tensor, level: int) -> Tensor:
        for layer in self.tower:
            x = layer(x, level)
        x = self.predict(x)
        batch, outputs, rows, columns = x.shape
        return ops.transpose(ops.reshape(x, (batch, outputs, rows * columns)), (0, 2, 1))


class Fcos(Layer):
    """Images N × C × H × W → "class_logits" N × points × `classes` and "box_offsets" N × points × 4.

    The latter are the distances from a point to the left, upper, right and lower edge of its box, in strides of its
    map. A map of stride s has H/s × W/s points, rounded up, see `opsin.tasks.detection.heads.point`.
    """

    def __init__(self, classes: int) -> None:
        self.backbone, self.pyramid = Backbone(), Pyramid()
        self.class_head = Head(classes, -math.log((1 - PRIOR) / PRIOR))
        self.box_head = Head(4, math.log(FIRST_DISTANCE))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        maps = self.pyramid.mix(self.backbone.features(x))
        distances = ops.exp(ops.minimum(self.box_head.predictions(maps), MAX_LOG_DISTANCE))
        return {"class_logits": self.class_head.predictions(maps), "box_offsets": distances}


fcos_efficientnet_lite0 = register(
    "fcos_efficientnet_lite0", Fcos, (3, 320, 320), 80, "detection", "efficientnet_lite0"
)
