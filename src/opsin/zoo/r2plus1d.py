"""R(2+1)D: Tran, Wang, Torresani, Ray, LeCun & Paluri, "A closer look at spatiotemporal convolutions for action
recognition", CVPR 2018.

Each 3 × 3 × 3 convolution is one of frames, 1 × 3 × 3, and one over time, 3 × 1 × 1, with a rectifier in between. The
frames' convolution has as many filters as make the parameters those of the whole (section 3.5). This network has one
residual block in each stage, as the paper's R(2+1)D-10 would, and a quarter of the filters.
"""

from __future__ import annotations

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import BatchNorm3d, Conv3d, Dropout, Flatten, GlobalAvgPool3d, Layer, Linear, ReLU, Sequential
from opsin.nn.initializers import kaiming_normal
from opsin.zoo.clips import to_clips
from opsin.zoo.registry import register

WIDTHS = (16, 32, 64, 128)
STEM, STEM_FRAMES = 16, 24
"""Filters of the first convolution over time, and of that of frames before it."""


def frames_filters(before: int, filters: int) -> int:
    """Return the filters of the frames' convolution that give a pair the parameters of a 3 × 3 × 3 convolution."""
    return 27 * before * filters // (9 * before + 3 * filters)


def pair(before: int, filters: int, stride: int = 1) -> list[Layer]:
    """Return a convolution of frames and one over time, with batch normalization after each."""
    return [
        Conv3d(frames_filters(before, filters), (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False,
               weight_init=kaiming_normal),
        BatchNorm3d(), ReLU(),
        Conv3d(filters, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False, weight_init=kaiming_normal),
        BatchNorm3d(),
    ]  # fmt: skip


class Block(Layer):
    """Two pairs of convolutions and a shortcut; with a stride, space and time shrink."""

    def __init__(self, before: int, filters: int, stride: int) -> None:
        self.branch = Sequential(*pair(before, filters, stride), ReLU(), *pair(filters, filters))
        changes = before != filters or stride > 1
        shortcut = (Conv3d(filters, 1, stride, bias=False, weight_init=kaiming_normal), BatchNorm3d())
        self.shortcut = Sequential(*shortcut) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        return ops.relu(ops.add(self.branch(x), self.shortcut(x) if self.shortcut else x))


class R2Plus1D(Layer):
    """Square frames below each other, N × 3 × (T·S) × S → logits N × `classes`."""

    def __init__(self, classes: int) -> None:
        self.stem = Sequential(
            Conv3d(STEM_FRAMES, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False, weight_init=kaiming_normal),
            BatchNorm3d(), ReLU(),
            Conv3d(STEM, (3, 1, 1), 1, (1, 0, 0), bias=False, weight_init=kaiming_normal), BatchNorm3d(), ReLU(),
        )  # fmt: skip
        before = (STEM, *WIDTHS)
        self.stages = [Block(before[number], width, 2 if number else 1) for number, width in enumerate(WIDTHS)]
        self.head = Sequential(GlobalAvgPool3d(), Flatten(), Dropout(0.5), Linear(classes))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(to_clips(x))
        for stage in self.stages:
            x = stage(x)
        return self.head(x)


r2plus1d = register(
    "r2plus1d", R2Plus1D, (3, 16 * 112, 112), 2, kind="video", input_options={"side": 112, "frames": 16}
)
