"""Layers for sequences N × C × T, and for images of one row N × C × 1 × T, which give the same.

Names, arguments and parameters are PyTorch's, except that a layer takes the number of its input channels from its input
(see `layers`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from opsin import ops
from opsin.base.errors import ShapeError, UsageError
from opsin.ir import INT, Tensor
from opsin.nn.activations import Function
from opsin.nn.initializers import Initializer, fan_in_uniform, normal
from opsin.nn.layer import Configured
from opsin.nn.layers import BatchNorm2d, input_channels, need_units
from opsin.ops.sequence import as_row, like_sequence
from opsin.ops.sliding import Pair, image, same_padding


@dataclass(eq=False)
class Conv1d(Configured):
    """Convolution along time, N × C × T → N × `out_channels` × T'.

    Parameters: `weight`, out_channels × C/groups × kernel_size; `bias`, out_channels. `padding` is a number for both
    ends, (before, after), or "same" for T / stride steps, rounded up.
    """

    out_channels: int
    kernel_size: int
    stride: int = 1
    padding: int | Pair | Literal["same"] = 0
    dilation: int = 1
    groups: int = 1
    bias: bool = True
    weight_init: Initializer = fan_in_uniform
    bias_init: Initializer = fan_in_uniform

    def __post_init__(self) -> None:
        super().__post_init__()
        need_units("Conv1d", "channel", self.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        row = as_row("conv1d", x)
        channels = input_channels("conv1d", row, self.groups)
        shape = (self.out_channels, channels // self.groups, self.kernel_size)
        weight = self.parameter("weight", shape, self.weight_init(shape))
        bias = self.parameter("bias", (self.out_channels,), self.bias_init(shape)) if self.bias else None
        return ops.conv1d(x, weight, bias, self.stride, self._padding(row), self.dilation, self.groups)

    def _padding(self, row: Tensor) -> int | Pair:
        if not isinstance(self.padding, str):
            return self.padding
        _, _, size = image("conv1d", row.type)
        return same_padding(size, (1, self.kernel_size), (1, self.stride), (1, self.dilation))[1]


@dataclass(eq=False)
class MaxPool1d(Configured):
    """Maximum of each window along time. The default stride is the size of the window."""

    kernel_size: int
    stride: int | None = None
    padding: int | Pair = 0
    ceil_mode: bool = False

    def forward(self, x: Tensor) -> Tensor:
        return ops.max_pool1d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode)


@dataclass(eq=False)
class AvgPool1d(Configured):
    """Mean of each window along time. The default stride is the size of the window."""

    kernel_size: int
    stride: int | None = None
    padding: int | Pair = 0
    ceil_mode: bool = False
    count_include_pad: bool = True

    def forward(self, x: Tensor) -> Tensor:
        return ops.avg_pool1d(
            x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        )  # fmt: skip


class GlobalAvgPool1d(Function):
    """The mean of each channel over time: N × C × T → N × C × 1."""

    function = ops.global_avg_pool1d


class GlobalMaxPool1d(Function):
    """The maximum of each channel over time: N × C × T → N × C × 1 (Collobert et al. 2011)."""

    function = ops.global_max_pool1d


@dataclass(eq=False)
class BatchNorm1d(BatchNorm2d):
    """Batch normalization of each channel of sequences (see `BatchNorm2d`)."""

    def forward(self, x: Tensor) -> Tensor:
        return like_sequence(super().forward(as_row("batch_norm", x)), x)


UNIT_NORMAL = normal(1.0)


@dataclass(eq=False)
class Embedding(Configured):
    """A vector of `features` numbers for each token: N × T or N × 1 × 1 × T → N × features × T or … × 1 × T.

    Tokens are numbers from 0 to `tokens` - 1, whole ones, or real ones without a fraction. The vector of another number
    is 0, and so is that of the number `padding`. Parameter: `weight`, tokens × features (Bengio et al. 2003).
    """

    tokens: int
    features: int
    padding: int | None = None
    weight_init: Initializer = UNIT_NORMAL

    def __post_init__(self) -> None:
        super().__post_init__()
        need_units("Embedding", "token", self.tokens)
        need_units("Embedding", "feature", self.features)
        if self.padding is not None and not 0 <= self.padding < self.tokens:
            raise UsageError(
                f"Embedding: padding is one of the tokens 0 … {self.tokens - 1}, not {self.padding}; "
                "leave it out if no token stands for nothing"
            )

    def forward(self, x: Tensor) -> Tensor:
        if x.rank != 2 and not (x.rank == 4 and x.shape[1:3] == (1, 1)):
            raise ShapeError(f"embedding: expected tokens N × time or N × 1 × 1 × time, got {x.type}")
        batch, time = x.shape[0], x.shape[-1]
        indices = ops.cast(ops.reshape(x, (batch, time)), INT)
        if self.padding is not None:
            indices = ops.where(ops.equal(indices, self.padding), -1, indices)
        shape = (self.tokens, self.features)
        vectors = ops.gather(self.parameter("weight", shape, self.weight_init(shape)), indices)
        y = ops.transpose(vectors, (0, 2, 1))
        return y if x.rank == 2 else ops.reshape(y, (batch, self.features, 1, time))
