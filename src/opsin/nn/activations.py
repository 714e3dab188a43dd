"""Activation functions as layers, with PyTorch's names and arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from opsin import ops
from opsin.base.renamed_arguments import renamed_arguments
from opsin.ir import Tensor
from opsin.nn.layer import Configured, Layer


class Function(Layer):
    """A layer that applies one function to one tensor, without parameters or arguments."""

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
    """x · Φ(x), computed with the error function."""

    function = ops.gelu


@renamed_arguments(slope="negative_slope")
@dataclass(eq=False)
class LeakyReLU(Configured):
    """x if x > 0, else negative_slope · x."""

    negative_slope: float = 0.01

    def forward(self, x: Tensor) -> Tensor:
        return ops.leaky_relu(x, self.negative_slope)


@renamed_arguments(axis="dim")
@dataclass(eq=False)
class Softmax(Configured):
    """Probabilities along `dim`."""

    dim: int = 1

    def forward(self, x: Tensor) -> Tensor:
        return ops.softmax(x, self.dim)


@renamed_arguments(axis="dim")
@dataclass(eq=False)
class LogSoftmax(Configured):
    """Log probabilities along `dim`."""

    dim: int = 1

    def forward(self, x: Tensor) -> Tensor:
        return ops.log_softmax(x, self.dim)
