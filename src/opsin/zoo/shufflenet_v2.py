"""ShuffleNetV2: Ma, Zhang, Zheng & Sun, "ShuffleNet V2: practical guidelines for efficient CNN architecture design",
ECCV 2018.

The paper measures that time depends on memory traffic as much as on MACs, and derives a block from that: half of the
channels pass unchanged, the other half goes through three convolutions of equal width, and shuffling the channels
afterwards mixes the halves. Its table 5 at 1.0× is `STAGES` below; 2,278,604 parameters. Names are torchvision's,
and initial values are PyTorch's defaults, as there.
"""

from __future__ import annotations

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import BatchNorm2d, Conv2d, Flatten, GlobalAvgPool2d, Layer, Linear, MaxPool2d, ReLU, Sequential
from opsin.zoo.registry import register

STAGES = (116, 4), (232, 8), (464, 4)
"""Output channels and number of blocks; the first block halves rows and columns."""


def pointwise(out: int) -> list[Layer]:
    return [Conv2d(out, 1, bias=False), BatchNorm2d(), ReLU()]


def depthwise(channels: int, stride: int) -> list[Layer]:
    return [Conv2d(channels, 3, stride, 1, groups=channels, bias=False), BatchNorm2d()]


class Unit(Layer):
    """The paper's figure 3 (c): half of the channels go through `branch2`, the others pass unchanged."""

    def __init__(self, out: int) -> None:
        half = out // 2
        self.branch2 = Sequential(*pointwise(half), *depthwise(half, 1), *pointwise(half))

    def forward(self, x: Tensor) -> Tensor:
        half = ops.narrow(x, 1, 0, x.shape[1] // 2)
        other = ops.narrow(x, 1, x.shape[1] // 2, x.shape[1] // 2)
        return shuffle(half, self.branch2(other))


class DownUnit(Layer):
    """The paper's figure 3 (d): both branches read all `channels` and halve rows and columns."""

    def __init__(self, channels: int, out: int) -> None:
        half = out // 2
        self.branch1 = Sequential(*depthwise(channels, 2), *pointwise(half))
        self.branch2 = Sequential(*pointwise(half), *depthwise(half, 2), *pointwise(half))

    def forward(self, x: Tensor) -> Tensor:
        return shuffle(self.branch1(x), self.branch2(x))


def shuffle(a: Tensor, b: Tensor) -> Tensor:
    """Interleave the channels of both."""
    batch, channels, rows, columns = a.shape
    pairs = ops.concat([ops.reshape(t, (batch, channels, 1, rows, columns)) for t in (a, b)], axis=2)
    return ops.reshape(pairs, (batch, 2 * channels, rows, columns))


def network(classes: int) -> Layer:
    """Images N × C × H × W → N × `classes`, of any size."""
    first = Sequential(Conv2d(24, 3, 2, 1, bias=False), BatchNorm2d(), ReLU())
    channels, stages = 24, []
    for number, (out, count) in enumerate(STAGES, start=2):
        stages.append((f"stage{number}", Sequential(DownUnit(channels, out), *[Unit(out) for _ in range(count - 1)])))
        channels = out
    return Sequential(
        ("conv1", first),
        ("maxpool", MaxPool2d(3, 2, 1)),
        *stages,
        ("conv5", Sequential(*pointwise(1024))),
        ("pool", GlobalAvgPool2d()),
        ("flatten", Flatten()),
        ("fc", Linear(classes)),
    )


shufflenet_v2_x1_0 = register("shufflenet_v2_x1_0", network)
