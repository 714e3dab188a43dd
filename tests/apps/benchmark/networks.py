"""Small networks with the layers of segmentation networks and of detectors."""

from __future__ import annotations

from opsin import nn, ops
from opsin.ir import Tensor
from opsin.zoo.blocks import SqueezeExcitation
from opsin.zoo.unet import standardized

SHAPE = (3, 21, 26)


class Segmenter(nn.Layer):
    """Upsamples by a transposed convolution with grouped channels, and by every mode of resampling.

    Its images are standardized as well.
    """

    def __init__(self) -> None:
        self.stem, self.norm, self.act = nn.Conv2d(8, 3, 2, 1, bias=False), nn.BatchNorm2d(), nn.ReLU()
        self.dilated = nn.Conv2d(8, 3, padding=2, dilation=2, groups=4)
        self.down, self.up = nn.MaxPool2d(2), nn.ConvTranspose2d(6, 3, 2, 1, (1, 0), groups=2)
        self.scores, self.extra = nn.Conv2d(3, 1), nn.Conv2d(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        y = self.act(self.norm(self.stem(ops.concat([x, standardized(x)]))))
        if self.training:
            self.auxiliary(ops.resample2d(self.extra(y), size, "bilinear"), 0.4)
        y = ops.relu(ops.add(y, self.dilated(y)))
        z = ops.resample2d(self.up(self.down(y)), y.shape[2:], "nearest")
        both = ops.concat([y, ops.resample2d(z, y.shape[2:], "bilinear")])
        return ops.resample2d(self.scores(ops.resample2d(both, (13, 17), "bilinear_corners")), size, "bilinear")


class Detector(nn.Layer):
    """Predicts from two maps with the same convolutions, and has two outputs."""

    def __init__(self) -> None:
        self.stem, self.act = nn.Conv2d(8, 3, 3, 1), nn.HardSwish()
        self.excite, self.down = SqueezeExcitation(8, 4, gate=ops.hard_sigmoid), nn.Conv2d(8, 3, 3, 1)
        self.tower, self.norms = nn.Conv2d(8, 3, padding=1, bias=False), [nn.BatchNorm2d(), nn.BatchNorm2d()]
        self.classes, self.boxes = nn.Conv2d(3, 1), nn.Conv2d(4, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        fine = self.excite(self.act(self.stem(x)))
        scale = ops.reshape(self.parameter("scale", (8,), ("constant", 2.0)), (1, 8, 1, 1))
        length = ops.sqrt(ops.sum(ops.square(fine), 1, keepdims=True))
        coarse = self.down(ops.multiply(scale, ops.divide(fine, ops.maximum(length, 1e-12))))
        maps = [norm(self.tower(y)) for norm, y in zip(self.norms, (fine, ops.relu6(coarse)), strict=True)]
        boxes = ops.concat([_by_place(self.boxes(y), 4) for y in maps], 1)
        classes = ops.concat([_by_place(self.classes(y), 3) for y in maps], 1)
        return {"class_logits": classes, "box_offsets": ops.exp(ops.minimum(boxes, 0.2))}


def _by_place(x: Tensor, outputs: int) -> Tensor:
    batch, _, rows, columns = x.shape
    return ops.reshape(ops.transpose(x, (0, 2, 3, 1)), (batch, rows * columns, outputs))
