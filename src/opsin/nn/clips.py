"""Layers for clips N × C × T × H × W, and for volumes, with PyTorch's names, arguments and parameters.

Sizes are one number for all axes, or (time, rows, columns). A layer takes the number of its input channels from its
input (see `layers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opsin import ops
from opsin.base.errors import ShapeError
from opsin.ir import Tensor
from opsin.nn.activations import Function
from opsin.nn.initializers import Initializer, fan_in_uniform
from opsin.nn.layer import Configured
from opsin.nn.layers import BatchNorm2d, need_units
from opsin.ops.conv3d import clip, to_triple
from opsin.ops.pool3d import over_time


@dataclass(eq=False)
class Conv3d(Configured):
    """Convolution of clips, N × C × T × H × W → N × `out_channels` × T' × H' × W'.

    Parameters: `weight`, out_channels × C/groups × kt × kh × kw; `bias`, out_channels.
    """

    out_channels: int
    kernel_size: int | Sequence[int]
    stride: int | Sequence[int] = 1
    padding: int | Sequence[int] = 0
    dilation: int | Sequence[int] = 1
    groups: int = 1
    bias: bool = True
    weight_init: Initializer = fan_in_uniform
    bias_init: Initializer = fan_in_uniform

    def __post_init__(self) -> None:
        super().__post_init__()
        need_units("Conv3d", "channel", self.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        _, channels, _ = clip("conv3d", x.type)
        if self.groups < 1 or channels % self.groups:
            raise ShapeError(f"conv3d: {channels} input channels do not divide into {self.groups} groups")
        kernel = to_triple("conv3d: kernel_size", self.kernel_size)
        shape = (self.out_channels, channels // self.groups, *kernel)
        weight = self.parameter("weight", shape, self.weight_init(shape))
        bias = self.parameter("bias", (self.out_channels,), self.bias_init(shape)) if self.bias else None
        return ops.conv3d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)


@dataclass(eq=False)
class MaxPool3d(Configured):
    """Maximum of each window. The default stride is the size of the window."""

    kernel_size: int | Sequence[int]
    stride: int | Sequence[int] | None = None
    padding: int | Sequence[int] = 0
    ceil_mode: bool = False

    def forward(self, x: Tensor) -> Tensor:
        return ops.max_pool3d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode)


@dataclass(eq=False)
class AvgPool3d(Configured):
    """Mean of each window. The default stride is the size of the window."""

    kernel_size: int | Sequence[int]
    stride: int | Sequence[int] | None = None
    padding: int | Sequence[int] = 0
    ceil_mode: bool = False
    count_include_pad: bool = True

    def forward(self, x: Tensor) -> Tensor:
        return ops.avg_pool3d(
            x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        )  # fmt: skip


class GlobalAvgPool3d(Function):
    """The mean of each channel: N × C × T × H × W → N × C × 1 × 1 × 1."""

    function = ops.global_avg_pool3d


@dataclass(eq=False)
class BatchNorm3d(BatchNorm2d):
    """Batch normalization of each channel of clips (see `BatchNorm2d`)."""

    def forward(self, x: Tensor) -> Tensor:
        clip("batch_norm", x.type)
        return over_time(x, super().forward)
