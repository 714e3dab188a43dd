"""The layers of the field, under PyTorch's names and with its meanings and parameter names.

Sizes given as one number hold for rows and columns alike. Input channels are never given: a layer sees
them when it is traced. `weight_init` and `bias_init` are functions of the weight's shape, see `opsin.nn.initializers`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from opsin import ops
from opsin.base.errors import ShapeError, UsageError
from opsin.ir import Tensor, product
from opsin.ir.arguments import LARGEST
from opsin.nn.initializers import Initializer, fan_in_uniform
from opsin.nn.layer import Configured, Layer, current_trace
from opsin.ops.sliding import Padding, Pair, Scale, image, same_padding, to_pair


@dataclass(eq=False)
class Conv2d(Configured):
    """Convolution, N × C × H × W → N × `out` × H' × W'. Parameters `weight` out × C/groups × kh × kw and `bias` out.

    The padding "same" gives H / stride rows, rounded up, and likewise columns, as TensorFlow's does.
    """

    out: int
    kernel: int | Pair
    stride: int | Pair = 1
    padding: int | Pair | Padding | Literal["same"] = 0
    dilation: int | Pair = 1
    groups: int = 1
    bias: bool = True
    weight_init: Initializer = fan_in_uniform
    bias_init: Initializer = fan_in_uniform

    def __post_init__(self) -> None:
        super().__post_init__()
        _need_units("Conv2d", "channel", self.out)

    def forward(self, x: Tensor) -> Tensor:
        channels = _channels("conv2d", x, self.groups)
        shape = (self.out, channels // self.groups, *to_pair("conv2d", self.kernel))
        weight = self.parameter("weight", shape, self.weight_init(shape))
        bias = self.parameter("bias", (self.out,), self.bias_init(shape)) if self.bias else None
        return ops.conv2d(x, weight, bias, self.stride, self._padding(x), self.dilation, self.groups)

    def _padding(self, x: Tensor) -> int | Pair | Padding:
        if self.padding != "same":
            return self.padding
        _, _, size = image("conv2d", x.type)
        kernel, stride, dilation = (to_pair("conv2d", pair) for pair in (self.kernel, self.stride, self.dilation))
        return same_padding(size, kernel, stride, dilation)


@dataclass(eq=False)
class ConvTranspose2d(Configured):
    """Transposed convolution, N × C × H × W → N × `out` × H' × W', which enlarges by `stride`.

    Parameters `weight` C × out/groups × kh × kw and `bias` out.
    """

    out: int
    kernel: int | Pair
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
        _need_units("ConvTranspose2d", "channel", self.out)
        if self.groups < 1 or self.out % self.groups:
            raise UsageError(f"ConvTranspose2d: {self.out} output channels do not divide into {self.groups} groups")

    def forward(self, x: Tensor) -> Tensor:
        channels = _channels("conv_transpose2d", x, self.groups)
        shape = (channels, self.out // self.groups, *to_pair("conv_transpose2d", self.kernel))
        weight = self.parameter("weight", shape, self.weight_init(shape))
        bias = self.parameter("bias", (self.out,), self.bias_init(shape)) if self.bias else None
        return ops.conv_transpose2d(
            x, weight, bias, self.stride, self.padding, self.output_padding, self.dilation, self.groups
        )


@dataclass(eq=False)
class Linear(Configured):
    """Fully connected, N × features → N × `out`. Parameters `weight` out × features and `bias` out."""

    out: int
    bias: bool = True
    weight_init: Initializer = fan_in_uniform
    bias_init: Initializer = fan_in_uniform

    def __post_init__(self) -> None:
        super().__post_init__()
        _need_units("Linear", "feature", self.out)

    def forward(self, x: Tensor) -> Tensor:
        if x.rank != 2:
            raise ShapeError(f"linear: expected N × features, got {x.type}; put Flatten() before this layer")
        shape = (self.out, *x.shape[1:])
        weight = self.parameter("weight", shape, self.weight_init(shape))
        bias = self.parameter("bias", (self.out,), self.bias_init(shape)) if self.bias else None
        return ops.linear(x, weight, bias)


@dataclass(eq=False)
class MaxPool2d(Configured):
    """The largest number in each window; the stride is the window's size by default."""

    window: int | Pair
    stride: int | Pair | None = None
    padding: int | Pair | Padding = 0
    ceil_mode: bool = False
    dilation: int | Pair = 1

    def forward(self, x: Tensor) -> Tensor:
        return ops.max_pool2d(x, self.window, self.stride, self.padding, self.ceil_mode, self.dilation)


@dataclass(eq=False)
class AvgPool2d(Configured):
    """The mean of each window; the stride is the window's size by default.

    With `divisor_override` its sum, divided by that number.
    """

    window: int | Pair
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
                ops.sum_pool2d(x, self.window, self.stride, self.padding, self.ceil_mode), self.divisor_override
            )
        return ops.avg_pool2d(x, self.window, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


@dataclass(eq=False)
class L2Pool2d(Configured):
    """√ of the sum of squares in each window; the stride is the window's size by default."""

    window: int | Pair
    stride: int | Pair | None = None
    padding: int | Pair | Padding = 0

    def forward(self, x: Tensor) -> Tensor:
        return ops.l2_pool2d(x, self.window, self.stride, self.padding)


@dataclass(eq=False)
class AdaptiveAvgPool2d(Configured):
    """Means over windows that cover the image evenly, so that the result is of `size`."""

    size: int | Pair

    def forward(self, x: Tensor) -> Tensor:
        return ops.adaptive_avg_pool2d(x, self.size)


@dataclass(eq=False)
class Upsample(Configured):
    """Images `scale` times larger, or at `size`; `mode` is nearest, bilinear or bilinear_corners."""

    scale: Scale | None = None
    size: int | Pair | None = None
    mode: str = "nearest"

    def forward(self, x: Tensor) -> Tensor:
        return ops.upsample(x, self.scale, self.size, self.mode)


@dataclass(eq=False)
class Flatten(Layer):
    """Merges all axes but the batch: N × C × H × W → N × C·H·W."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.flatten(x)


@dataclass(eq=False)
class LeakyReLU(Configured):
    """x where positive, else slope · x."""

    slope: float = 0.01

    def forward(self, x: Tensor) -> Tensor:
        return ops.leaky_relu(x, self.slope)


@dataclass(eq=False)
class Softmax(Configured):
    """Probabilities along `axis`."""

    axis: int = 1

    def forward(self, x: Tensor) -> Tensor:
        return ops.softmax(x, self.axis)


@dataclass(eq=False)
class LogSoftmax(Configured):
    """Logarithms of probabilities along `axis`."""

    axis: int = 1

    def forward(self, x: Tensor) -> Tensor:
        return ops.log_softmax(x, self.axis)


@dataclass(eq=False)
class LocalResponseNorm(Configured):
    """x / (k + alpha/size · Σ x² over `size` neighbouring channels)^beta."""

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def forward(self, x: Tensor) -> Tensor:
        return ops.local_response_norm(x, self.size, self.alpha, self.beta, self.k)


@dataclass(eq=False)
class BatchNorm2d(Configured):
    """Batch normalisation of each channel (Ioffe & Szegedy 2015).

    In training the batch's own statistics normalise, and the running ones move towards them by `momentum`;
    otherwise the running ones normalise. Parameters `weight` and `bias`, statistics `running_mean` and
    `running_var` (which follows the unbiased variance), all of shape C. Without `scaled`, `weight` stays as it is: 1.
    """

    eps: float = 1e-5
    momentum: float = 0.1
    scaled: bool = True

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, (rows, columns) = image("batch_norm", x.type)
        weight = self.parameter("weight", (channels,), ("ones",), trainable=self.scaled)
        bias = self.parameter("bias", (channels,), ("zeros",))
        running_mean = self.parameter("running_mean", (channels,), ("zeros",), trainable=False)
        running_var = self.parameter("running_var", (channels,), ("ones",), trainable=False)
        if not self.training:
            return ops.batch_norm(x, weight, bias, running_mean, running_var, self.eps)
        y, mean, variance = ops.batch_norm_training(x, weight, bias, self.eps)
        count = product((batch, rows, columns))
        # A single number has the variance 0, and dividing by 1 instead of 0 keeps it so.
        unbiased = ops.multiply(variance, ops.divide(count, ops.maximum(ops.subtract(count, 1.0), 1.0)))
        self._follow(running_mean, mean)
        self._follow(running_var, unbiased)
        return y

    def _follow(self, running: Tensor, value: Tensor) -> None:
        def moved(old: Tensor) -> Tensor:
            return ops.add(old, ops.multiply(ops.subtract(value, old), self.momentum))

        current_trace().update(running, moved)


@dataclass(eq=False)
class Dropout(Configured):
    """In training sets each number to 0 with probability `p` and divides the rest by 1 - p (Srivastava et al. 2014)."""

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
    """In training sets whole images to 0 with probability `p` and divides the rest by 1 - p (Huang et al. 2016).

    Before the sum of a residual block it leaves the shortcut alone.
    """

    p: float

    def __post_init__(self) -> None:
        super().__post_init__()
        _need_probability("StochasticDepth", self.p)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        seed, step, site = current_trace().randomness()
        kept = ops.bernoulli(seed, step, (*x.shape[:1], *[1] * (x.rank - 1)), 1 - self.p, site)
        return ops.multiply(x, ops.multiply(kept, 1 / (1 - self.p)))


class Function(Layer):
    """A layer that is one function of one tensor, without parameters or settings."""

    function: ClassVar[Callable[[Tensor], Tensor]]

    def forward(self, x: Tensor) -> Tensor:
        return type(self).function(x)


class ReLU(Function):
    """max(x, 0)."""

    function = ops.relu


class ReLU6(Function):
    """min(max(x, 0), 6)."""

    function = ops.relu6


class Tanh(Function):
    """The hyperbolic tangent."""

    function = ops.tanh


class Sigmoid(Function):
    """1 / (1 + e^-x)."""

    function = ops.sigmoid


class SiLU(Function):
    """x · sigmoid(x)."""

    function = ops.silu


class HardSwish(Function):
    """x · relu6(x + 3) / 6."""

    function = ops.hard_swish


class GELU(Function):
    """x · Φ(x), by the error function."""

    function = ops.gelu


class GlobalAvgPool2d(Function):
    """The mean of each channel: N × C × H × W → N × C × 1 × 1."""

    function = ops.global_avg_pool2d


class GlobalMaxPool2d(Function):
    """The largest number of each channel: N × C × H × W → N × C × 1 × 1."""

    function = ops.global_max_pool2d


class Identity(Layer):
    """x as it is: a place for a layer that a variant leaves out."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def _channels(name: str, x: Tensor, groups: int) -> int:
    """The channels of the images `x`, which must divide into `groups`."""
    _, channels, _ = image(name, x.type)
    if groups < 1 or channels % groups:
        raise ShapeError(f"{name}: {channels} input channels do not divide into {groups} groups")
    return channels


def _need_probability(layer: str, p: float) -> None:
    if not 0 <= p < 1:
        raise UsageError(f"{layer}: the probability to drop is at least 0 and below 1, not {p}")


def _need_units(layer: str, unit: str, count: int) -> None:
    if not 1 <= count <= LARGEST:
        bound = "at least one output" if count < 1 else f"at most {LARGEST:,} output"
        raise UsageError(f"{layer}: expected {bound} {unit}{'' if count < 1 else 's'}, not {count}")
