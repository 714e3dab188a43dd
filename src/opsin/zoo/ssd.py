"""SSD: Liu, Anguelov, Erhan, Szegedy, Reed, Fu & Berg, "SSD: single shot multibox detector", ECCV 2016; and SSDLite:
Sandler et al., "MobileNetV2", CVPR 2018, with the backbone of Howard et al., "Searching for MobileNetV3", ICCV 2019.

Six maps of decreasing resolution, each cell of which predicts scores and offsets for a few default boxes of several
aspect ratios. Each network is a backbone for classification whose last maps are followed by more convolutions:

- `ssd300_vgg16`: VGG-16, whose linear layers become convolutions, with strides of 8 to 300 pixels; 8,732 default boxes.
  The values of the first map are much larger than those of later ones; it is scaled to a fixed norm in each cell (Liu,
  Rabinovich & Berg, "ParseNet", 2015).
- `ssdlite320_mobilenet_v3_large`: separable convolutions throughout, 3,234 default boxes. The last channels of
  MobileNetV3 are halved, as in its paper's experiments on detection.

Names, initial values and default boxes are torchvision's, so that its weights load. Class 0 is the background.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from opsin import ops
from opsin.ir import Shape, Tensor
from opsin.nn import BatchNorm2d, Conv2d, HardSwish, Init, Layer, MaxPool2d, ReLU, ReLU6, Sequential
from opsin.nn.initializers import constant, normal
from opsin.zoo import mobilenet_v3, vgg
from opsin.zoo.blocks import conv_norm
from opsin.zoo.registry import register
from opsin.zoo.sizes import at_least

SSD300_BOXES = (4, 6, 6, 6, 4, 4)
"""Default boxes in each cell of the six maps of SSD300."""
SSDLITE_BOXES = (6,) * 6
SSDLITE_CHANNELS = (672, 480, 512, 256, 256, 128)
"""Channels of its maps."""
SSDLITE_C4 = 13
"""The block of MobileNetV3 whose first convolution gives the map of stride 16."""
SSDLITE_EXTRA = SSDLITE_CHANNELS[2:]
"""Channels of the maps after the backbone."""
FIRST_SCALE = 20.0
"""The norm of each cell of the first map of SSD300 at first."""
MIN_SSD300_SIZE = 268
"""Rows and columns for which all six maps have at least one cell."""
COCO_CLASSES = 90
"""Torchvision's count, by COCO's numbers, of which ten are unused."""


def xavier_uniform(shape: Shape) -> Init:
    """Return uniform with variance 2 / (fan-in + fan-out): Glorot & Bengio, "Understanding the difficulty", 2010."""
    out, channels, rows, columns = (size for size in shape if isinstance(size, int))
    return ("uniform", math.sqrt(6 / ((out + channels) * rows * columns)))


conv = partial(Conv2d, weight_init=xavier_uniform, bias_init=constant(0))
norm = partial(BatchNorm2d, eps=1e-3, momentum=0.03)


class Backbone(Layer):
    """A network from an image to maps."""

    def maps(self, x: Tensor) -> list[Tensor]:
        """Return the six maps that predictions are made from, the largest first."""
        raise NotImplementedError


class VggBackbone(Backbone):
    """VGG-16 to the last convolution of its fourth stage, the rest of it, then more convolutions."""

    def __init__(self) -> None:
        channels = [out for out, count in zip(vgg.CHANNELS, vgg.DEPTHS[16], strict=True) for _ in range(count)]
        layers: list[Layer] = []
        for number, out in enumerate(channels[:10]):
            if number in (2, 4, 7):
                # The third pooling rounds up, so that an image of 300 pixels has a map of 38.
                layers.append(MaxPool2d(2, ceil_mode=number == 7))
            layers += [vgg.conv(out), ReLU()]
        self.features = Sequential(*layers)
        last = [layer for out in channels[10:] for layer in (vgg.conv(out), ReLU())]
        wide = conv(1024, 3, padding=6, dilation=6)
        linear = Sequential(MaxPool2d(3, 1, 1), wide, ReLU(), conv(1024, 1), ReLU())
        self.extra = [
            Sequential(MaxPool2d(2), *last, linear),
            _pair(256, 512, stride=2, padding=1),
            _pair(128, 256, stride=2, padding=1),
            _pair(128, 256),
            _pair(128, 256),
        ]

    def maps(self, x: Tensor) -> list[Tensor]:
        image, x = x, self.features(x)
        scale = self.parameter("scale_weight", (512,), ("constant", FIRST_SCALE))
        maps = [ops.multiply(ops.reshape(scale, (1, 512, 1, 1)), _normalized(x))]
        with at_least(MIN_SSD300_SIZE, image):
            for layer in self.extra:
                x = layer(x)
                maps.append(x)
        return maps


class MobileNetBackbone(Backbone):
    """MobileNetV3-Large, cut in the block `SSDLITE_C4`, then four separable convolutions of stride 2."""

    def __init__(self) -> None:
        block, channels = partial(conv_norm, norm=norm), 16
        blocks: list[mobilenet_v3.InvertedResidual] = []
        for row in _reduced_rows():
            blocks.append(mobilenet_v3.InvertedResidual(channels, row, block))
            channels = row.out
        cut = SSDLITE_C4 - 1
        (_, expand), *rest = blocks[cut].block.layers
        stem, last = block(16, 3, stride=2, activation=HardSwish), block(6 * channels, activation=HardSwish)
        self.features = [
            Sequential(stem, *blocks[:cut], expand),
            Sequential(Sequential(*rest), *blocks[cut + 1 :], last),
        ]
        self.extra = [_separable(out) for out in SSDLITE_EXTRA]

    def maps(self, x: Tensor) -> list[Tensor]:
        maps = []
        for layer in (*self.features, *self.extra):
            x = layer(x)
            maps.append(x)
        return maps


class PredictionHead(Layer):
    """Predicts `outputs` numbers for each default box of each map, with one layer for each map."""

    def __init__(self, predictors: Sequence[Layer], outputs: int) -> None:
        self.module_list, self._outputs = list(predictors), outputs

    def predictions(self, maps: Sequence[Tensor]) -> Tensor:
        """Return N × boxes × `outputs`, by map, row, column and box."""
        return ops.concat([self._of_map(layer(x)) for layer, x in zip(self.module_list, maps, strict=True)], axis=1)

    def _of_map(self, x: Tensor) -> Tensor:
        batch, channels, rows, columns = x.shape
        boxes = rows * columns * channels // self._outputs
        return ops.reshape(ops.transpose(x, (0, 2, 3, 1)), (batch, boxes, self._outputs))


class SSD(Layer):
    """Images N × C × H × W → "class_logits" N × boxes × (classes + 1) and "box_offsets" N × boxes × 4.

    `predictors(counts)` makes the layers that predict `counts` numbers in each cell of the maps. The meaning of the
    offsets, and the default boxes, are those of `opsin.tasks.detection.heads.anchors`.
    """

    def __init__(
        self,
        backbone: Callable[[], Backbone],
        predictors: Callable[[Sequence[int]], Sequence[Layer]],
        boxes: Sequence[int],
        classes: int,
    ) -> None:
        self.backbone = backbone()
        self.head = {
            name: PredictionHead(predictors([count * outputs for count in boxes]), outputs)
            for name, outputs in (("classification_head", classes + 1), ("regression_head", 4))
        }

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        maps = self.backbone.maps(x)
        return {
            "class_logits": self.head["classification_head"].predictions(maps),
            "box_offsets": self.head["regression_head"].predictions(maps),
        }


def _pair(hidden: int, out: int, stride: int = 1, padding: int = 0) -> Sequential:
    """Return a pointwise convolution to `hidden` channels and a 3 × 3 one to `out`."""
    return Sequential(conv(hidden, 1), ReLU(), conv(out, 3, stride, padding), ReLU())


def _normalized(x: Tensor) -> Tensor:
    """Return `x` with a norm of 1 over the channels of each cell."""
    length = ops.sqrt(ops.sum(ops.square(x), 1, keepdims=True))
    return ops.divide(x, ops.maximum(length, 1e-12))


def _dense_predictors(counts: Sequence[int]) -> list[Layer]:
    return [conv(count, 3, padding=1) for count in counts]


def _reduced_rows() -> list[mobilenet_v3.Row]:
    """Return MobileNetV3-Large's blocks, in which the channels after stride 16 are halved."""
    rows = list(mobilenet_v3.LARGE_BLOCKS)
    first, *rest = rows[SSDLITE_C4 - 1 :]
    halved = [row._replace(hidden=row.hidden // 2, out=row.out // 2) for row in rest]
    return [*rows[: SSDLITE_C4 - 1], first._replace(out=first.out // 2), *halved]


def _lite(layer: Sequential) -> Sequential:
    """Change the initial values of the layer's convolutions to those of SSDLite. Return the layer."""
    for _, child in layer.layers:
        if isinstance(child, Conv2d):
            child.weight_init, child.bias_init = normal(0.03), constant(0)
    return layer


def _separable(out: int) -> Sequential:
    """Return a pointwise convolution to half of `out` channels, a depthwise one of stride 2, and one to `out`."""
    hidden = out // 2
    block = partial(conv_norm, activation=ReLU6, norm=norm)
    return Sequential(_lite(block(hidden)), _lite(block(hidden, 3, 2, groups=hidden)), _lite(block(out)))


def _separable_predictors(counts: Sequence[int]) -> list[Layer]:
    block = partial(conv_norm, kernel_size=3, activation=ReLU6, norm=norm)
    depthwise = [_lite(block(channels, groups=channels)) for channels in SSDLITE_CHANNELS]
    return [_lite(Sequential(first, Conv2d(n, 1))) for first, n in zip(depthwise, counts, strict=True)]


_vgg = partial(SSD, VggBackbone, _dense_predictors, SSD300_BOXES)
_mobilenet = partial(SSD, MobileNetBackbone, _separable_predictors, SSDLITE_BOXES)
ssd300_vgg16 = register("ssd300_vgg16", _vgg, (3, 300, 300), COCO_CLASSES, "detection")
ssdlite320_mobilenet_v3_large = register(
    "ssdlite320_mobilenet_v3_large", _mobilenet, (3, 320, 320), COCO_CLASSES, "detection"
)
