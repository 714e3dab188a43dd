"""The residual networks of SphereFace: Liu, Wen, Yu, Li, Raj & Song, "SphereFace: deep hypersphere embedding for face
recognition", CVPR 2017, table 2.

Four stages, each of which begins with a convolution of stride 2 that is followed by residual units of two
convolutions; then all numbers of the last maps, with their places, go into a linear layer. Batch normalization
(Ioffe & Szegedy 2015) and ReLU take the place of PReLU.

`sphereface20` has the paper's channels, 64 to 512, and 20 layers. `sphereface10_half` has 10 layers with half of the
channels, 32 to 256; it is made for faces of 64 × 64 pixels and for CPUs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import BatchNorm2d, Conv2d, Dropout, Flatten, Layer, Linear, ReLU, Sequential
from opsin.nn.initializers import constant, kaiming_normal
from opsin.zoo.registry import register

conv = partial(Conv2d, kernel_size=3, padding=1, bias=False, weight_init=kaiming_normal)

DEPTHS = {10: (0, 1, 2, 0), 20: (1, 2, 4, 1)}
"""Residual units of the four stages, by the number of layers."""

DROPOUT = 0.4


class Unit(Layer):
    """y = x + F(x), where F is two convolutions, each with batch normalization and ReLU."""

    def __init__(self, channels: int) -> None:
        self.conv1, self.bn1, self.relu1 = conv(channels), BatchNorm2d(), ReLU()
        self.conv2, self.bn2, self.relu2 = conv(channels), BatchNorm2d(), ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        return ops.add(x, self.relu2(self.bn2(self.conv2(y))))


class SphereFace(Layer):
    """Images N × C × H × W → N × `outputs`; the first stage has `width` channels, and `units` are those of all."""

    def __init__(self, units: Sequence[int], width: int, outputs: int) -> None:
        stages: list[Layer] = []
        for number, count in enumerate(units):
            channels = width << number
            stages.append(
                Sequential(conv(channels, stride=2), BatchNorm2d(), ReLU(), *(Unit(channels) for _ in range(count)))
            )
        self.stages, self.flatten, self.dropout = Sequential(*stages), Flatten(), Dropout(DROPOUT)
        self.fc = Linear(outputs, weight_init=kaiming_normal, bias_init=constant(0))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.dropout(self.flatten(self.stages(x))))


sphereface20 = register("sphereface20", partial(SphereFace, DEPTHS[20], 64), (3, 112, 96), 512)
sphereface10_half = register("sphereface10_half", partial(SphereFace, DEPTHS[10], 32), (3, 64, 64), 128)
