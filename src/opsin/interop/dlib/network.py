"""The network of dlib's face recognition: a residual network with 29 convolutions (He et al. 2015).

Davis King, "High quality face recognition with deep metric learning", 2017,
http://blog.dlib.net/2017/02/high-quality-face-recognition-with-deep.html. Its normalization layers are affine maps of
each channel, which the reader merges into the convolutions.
"""

from __future__ import annotations

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import Conv2d, Flatten, GlobalAvgPool2d, Layer, Linear, MaxPool2d, ReLU, Sequential
from opsin.nn.metric_losses import unit_vectors

SHAPE, CHANNELS, DIMENSIONS = (3, 150, 150), 32, 128
"""The shape of its images, the channels of its first layer, and the numbers of a vector."""

STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
"""Channels and blocks of each stage, and whether its first block halves the image."""


class Block(Layer):
    """ReLU of x, or of its 2 × 2 means, plus two convolutions of it. The smaller of the two is padded with zeros."""

    def __init__(self, channels: int, halves: bool) -> None:
        self.halves = halves
        self.conv1 = Conv2d(channels, 3, 2) if halves else Conv2d(channels, 3, padding=1)
        self.relu1, self.conv2, self.relu2 = ReLU(), Conv2d(channels, 3, padding=1), ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.relu1(self.conv1(x)))
        shortcut = ops.avg_pool2d(x, 2) if self.halves else x
        sizes = [max(int(str(a)), int(str(b))) for a, b in zip(shortcut.shape[1:], y.shape[1:], strict=True)]
        return self.relu2(ops.add(_padded(shortcut, sizes), _padded(y, sizes)))


class FaceResNet(Layer):
    """Faces N × 3 × 150 × 150 → "embeddings" N × 128, of length 1."""

    def __init__(self) -> None:
        self.conv1, self.relu1, self.pool1 = Conv2d(CHANNELS, 7, 2), ReLU(), MaxPool2d(3, 2)
        self.blocks = Sequential(
            *(Block(channels, halves and number == 0) for channels, count, halves in STAGES for number in range(count))
        )
        self.pool2, self.flatten, self.fc = GlobalAvgPool2d(), Flatten(), Linear(DIMENSIONS, bias=False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        maps = self.blocks(self.pool1(self.relu1(self.conv1(x))))
        return {"embeddings": unit_vectors(self.fc(self.flatten(self.pool2(maps))))}


def _padded(x: Tensor, sizes: list[int]) -> Tensor:
    """Return N × C × H × W with zeros behind its channels, below and on the right, so that it has these sizes."""
    missing = [0, *(size - int(str(own)) for size, own in zip(sizes, x.shape[1:], strict=True))]
    return ops.pad(x, [0] * 4, missing) if any(missing) else x
