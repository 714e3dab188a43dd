"""Layers with PyTorch's names, semantics, arguments and parameter names.

One number for a size applies to rows and columns. The number of input channels is not an argument: a layer takes it
from its input when the network is traced. `weight_init` and `bias_init` are functions of the shape of the weight, see
`opsin.nn.initializers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from opsin import ops
from opsin.base.errors import ShapeError, UsageError
from opsin.base.renamed_arguments import renamed_arguments
from opsin.ir import Tensor, product
from opsin.ir.arguments import MAX_SIZE
from opsin.nn.activations import Function
from opsin.nn.initializers import Initializer, fan_in_uniform
from opsin.nn.layer import Configured, Layer, current_trace
from opsin.ops.sliding import Padding, Pair, Scale, image, same_padding, to_pair


@renamed_arguments(out="out_channels", kernel="kernel_size")
@dataclass(eq=False)
class Conv2d(Configured):
    """Convolution, N × C × H × W → N × `out_channels` × H' × W'.

    Parameters: `weight`, out_channels × C/groups × kh × kw; `bias`, out_channels. The padding "same" gives H / stride
    rows, rounded up, and likewise for columns, as in TensorFlow.
    """

    out_channels: int
    kernel_size: int | Pair
    stride: int | Pair = 1
    padding: int | Pair | Padding | Literal["same"] = 0
    dilation: int | Pair = 1
    groups: int = 1
    bias: bool = True
    weight_init: Initializer = fan_in_uniform
    bias_init: Initializer = fan_in_uniform

    def __post_init__(self) -> None:
        super().__post_init__()
        need_units("Conv2d", "channel", self.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        channels = input_channels("conv2d", x, self.groups)
        shape = (self.out_channels, channels // self.groups, *to_pair("conv2d", self.kernel_size))
        weight = self.parameter("weight", shape, self.weight_init(shape))
        bias = self.parameter("bias", (self.out_channels,), self.bias_init(shape)) if self.bias else None
        return ops.conv2d(x, weight, bias, self.stride, self._padding(x), self.dilation, self.groups)

    def _padding(self, x: Tensor) -> int | Pair | Padding:
        if self.padding != "same":
            return self.padding
        _, _, size = image("conv2d", x.type)
        kernel, stride, dilation = (to_pair("conv2d", pair) for pair in (self.kernel_size, self.stride, self.dilation))
        return same_padding(size, kernel, stride, dilation)


@renamed_arguments(out="out_channels", kernel="kernel_size")
@dataclass(eq=False)
class ConvTranspose2d(Configured):
    """Transposed convolution, N × C × H × W → N × `out_channels` × H' × W', which upsamples by `stride`.

    Parameters: `weight`, C × out_channels/groups × kh × kw; `bias`, out_channels.
    """

    out_channels: int
    kernel_size: int | Pair
    stride: int | Pair = 1
    padding: int | Pair | Padding = 0
    output_padding: int | Pair = 0
    groups: int = 1
    bias: bool = True
    dilation: int | Pair = 1
    weight_init: Initializer = fan_in_uniform
    bias_init: Initializer = fan_in_uniform

    def __post_init__(self) -> None:
        super().__post_init__()
        need_units("ConvTranspose2d", "channel", self.out_channels)
        if self.groups < 1 or self.out_channels % self.groups:
            raise UsageError(
                f"ConvTranspose2d: {self.out_channels} output channels do not divide into {self.groups} groups"
            )

    def forward(self, x: Tensor) -> Tensor:
        channels = input_channels("conv_transpose2d", x, self.groups)
        shape = (channels, self.out_channels // self.groups, *to_pair("conv_transpose2d", self.kernel_size))
        weight = self.parameter("weight", shape, self.weight_init(shape))
        bias = self.parameter("bias", (self.out_channels,), self.bias_init(shape)) if self.bias else None
        return ops.conv_transpose2d(
            x, weight, bias, self.stride, self.padding, self.output_padding, self.dilation, self.groups
        )


@renamed_arguments(out="out_features")
@dataclass(eq=False)
class Linear(Configured):
    """Fully connected layer, N × features → N × `out_features`.

    Parameters: `weight`, out_features × features; `bias`, out_features.
    """

    out_features: int
    bias: bool = True
    weight_init: Initializer = fan_in_uniform
    bias_init: Initializer = fan_in_uniform

    def __post_init__(self) -> None:
        super().__post_init__()
        need_units("Linear", "feature", self.out_features)

    def forward(self, x: Tensor) -> Tensor:
        if x.rank != 2:
            raise ShapeError(f"linear: expected N × features, got {x.type}; put Flatten() before this layer")
        shape = (self.out_features, *x.shape[1:])
        weight = self.parameter("weight", shape, self.weight_init(shape))
        bias = self.parameter("bias", (self.out_features,), self.bias_init(shape)) if self.bias else None
        return ops.linear(x, weight, bias)


@renamed_arguments(window="kernel_size")
@dataclass(eq=False)
class MaxPool2d(Configured):
    """Maximum of each window. The default stride is the size of the window."""

    kernel_size: int | Pair
    stride: int | Pair | None = None
    padding: int | Pair | Padding = 0
    ceil_mode: bool = False
    dilation: int | Pair = 1

    def forward(self, x: Tensor) -> Tensor:
        return ops.max_pool2d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.dilation)


@renamed_arguments(window="kernel_size")
@dataclass(eq=False)
class AvgPool2d(Configured):
    """Mean of each window. The default stride is the size of the window.

    If `divisor_override` is given, the sum of the window is divided by that number instead of its size.
    """

    kernel_size: int | Pair
    stride: int | Pair | None = None
    padding: int | Pair | Padding = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.divisor_override == 0:
            raise UsageError("AvgPool2d: divisor_override is a number to divide by, not 0; leave it out for means")

    def forward(self, x: Tensor) -> Tensor:
        if self.divisor_override is not None:
            return ops.divide(
                ops.sum_pool2d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode), self.divisor_override
            )
        return ops.avg_pool2d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


@renamed_arguments(window="kernel_size")
@dataclass(eq=False)
class L2Pool2d(Configured):
    """Square root of the sum of squares of each window. The default stride is the size of the window."""

    kernel_size: int | Pair
    stride: int | Pair | None = None
    padding: int | Pair | Padding = 0

    def forward(self, x: Tensor) -> Tensor:
        return ops.l2_pool2d(x, self.kernel_size, self.stride, self.padding)


@renamed_arguments(size="output_size")
@dataclass(eq=False)
class AdaptiveAvgPool2d(Configured):
    """Means of windows that cover the image evenly: N × C × H × W → N × C × `output_size`."""

    output_size: int | Pair

    def forward(self, x: Tensor) -> Tensor:
        return ops.adaptive_avg_pool2d(x, self.output_size)


class GlobalAvgPool2d(Function):
    """The mean of each channel: N × C × H × W → N × C × 1 × 1."""

    function = ops.global_avg_pool2d


class GlobalMaxPool2d(Function):
    """The maximum of each channel: N × C × H × W → N × C × 1 × 1."""

    function = ops.global_max_pool2d


@renamed_arguments(scale="scale_factor")
@dataclass(eq=False)
class Upsample(Configured):
    """Resize images to `scale_factor` times their size, or to `size`.

    `mode` is "nearest", "bilinear" or "bilinear_corners" (PyTorch's bilinear with align_corners).
    """

    scale_factor: Scale | None = None
    size: int | Pair | None = None
    mode: str = "nearest"

    def forward(self, x: Tensor) -> Tensor:
        return ops.upsample(x, self.scale_factor, self.size, self.mode)


@dataclass(eq=False)
class Flatten(Layer):
    """Merge all axes except the batch: N × C × H × W → N × C·H·W."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.flatten(x)


@dataclass(eq=False)
class LocalResponseNorm(Configured):
    """x / (k + alpha/size · Σ x² over `size` neighbouring channels)^beta (Krizhevsky et al. 2012)."""

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def forward(self, x: Tensor) -> Tensor:
        return ops.local_response_norm(x, self.size, self.alpha, self.beta, self.k)


@renamed_arguments(scaled="scale")
@dataclass(eq=False)
class BatchNorm2d(Configured):
    """Batch normalization of each channel (Ioffe & Szegedy 2015).

    Training normalizes by the statistics of the batch and moves the running statistics towards them by `momentum`;
    inference normalizes by the running statistics. Parameters `weight` and `bias`, and statistics `running_mean` and
    `running_var` (of the unbiased variance), all of shape C. If `scale` is False, `weight` is not trained and stays 1.
    """

    eps: float = 1e-5
    momentum: float = 0.1
    scale: bool = True

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, (rows, columns) = image("batch_norm", x.type)
        weight = self.parameter("weight", (channels,), ("ones",), trainable=self.scale)
        bias = self.parameter("bias", (channels,), ("zeros",))
        running_mean = self.parameter("running_mean", (channels,), ("zeros",), trainable=False)
        running_var = self.parameter("running_var", (channels,), ("ones",), trainable=False)
        if not self.training:
            return ops.batch_norm(x, weight, bias, running_mean, running_var, self.eps)
        y, mean, variance = ops.batch_norm_training(x, weight, bias, self.eps)
        count = product((batch, rows, columns))
        # The variance of a single number is 0. Dividing by 1 rather than by 0 leaves it at 0.
        unbiased = ops.multiply(variance, ops.divide(count, ops.maximum(ops.subtract(count, 1.0), 1.0)))
        self._update_running(running_mean, mean)
        self._update_running(running_var, unbiased)
        return y

    def _update_running(self, running: Tensor, value: Tensor) -> None:
        def update(average: Tensor) -> Tensor:
            return ops.add(average, ops.multiply(ops.subtract(value, average), self.momentum))

        current_trace().update(running, update)


@dataclass(eq=False)
class Dropout(Configured):
    """During training, set each number to 0 with probability `p` and divide the others by 1 - p.

    Srivastava et al., "Dropout", 2014.
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        _need_probability("Dropout", self.p)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        return ops.dropout(x, 1 - self.p, *current_trace().randomness())


@dataclass(eq=False)
class StochasticDepth(Configured):
    """During training, set whole images to 0 with probability `p` and divide the others by 1 - p (Huang et al. 2016).

    At the end of the residual branch of a block, it leaves only the shortcut of these images.
    """

    p: float

    def __post_init__(self) -> None:
        super().__post_init__()
        _need_probability("StochasticDepth", self.p)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        seed, step, site = current_trace().randomness()
        mask = ops.bernoulli(seed, step, (*x.shape[:1], *[1] * (x.rank - 1)), 1 - self.p, site)
        return ops.multiply(x, ops.multiply(mask, 1 / (1 - self.p)))


class Identity(Layer):
    """x unchanged; replaces a layer that a variant of a network omits."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def input_channels(name: str, x: Tensor, groups: int) -> int:
    """Return the channels of the images `x`. Raise `ShapeError` unless they are divisible by `groups`."""
    _, channels, _ = image(name, x.type)
    if groups < 1 or channels % groups:
        raise ShapeError(f"{name}: {channels} input channels do not divide into {groups} groups")
    return channels


def _need_probability(layer: str, p: float) -> None:
    if not 0 <= p < 1:
        raise UsageError(f"{layer}: the probability to drop is at least 0 and below 1, not {p}")


def need_units(layer: str, unit: str, count: int) -> None:
    """Raise `UsageError` unless a layer has at least one unit, and not more than arrays can have."""
    if not 1 <= count <= MAX_SIZE:
        bound = "at least one output" if count < 1 else f"at most {MAX_SIZE:,} output"
        raise UsageError(f"{layer}: expected {bound} {unit}{'' if count < 1 else 's'}, not {count}")
