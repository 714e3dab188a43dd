"""What a network computes, as steps between tensors that a quantized network stores.

A step takes the results of others and gives one: a convolution with everything that can be folded into it (batch
normalization, bias, ReLU), an addition with its ReLU, a function of one number, and so on. Weights are float64
arrays. What has no integer arithmetic becomes a `Rest`, which is computed in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from opsin.ir import Node, Tensor
from opsin.ops.sliding import Padding, Pair

Array: TypeAlias = "NDArray[np.float64]"


@dataclass(frozen=True)
class Window:
    """The attributes of a convolution that say where it reads."""

    stride: Pair = (1, 1)
    padding: Padding = ((0, 0), (0, 0))
    dilation: Pair = (1, 1)
    groups: int = 1


@dataclass(frozen=True, eq=False)
class Step:
    """The computation of `output` from `inputs`, tensors of the original graph; `node` names its layer."""

    node: Node
    inputs: tuple[Tensor, ...]
    output: Tensor

    @property
    def layer(self) -> str:
        """The path of the layer, or the operation outside of layers."""
        return self.node.scope or self.node.op.name


@dataclass(frozen=True, eq=False)
class Product(Step):
    """A convolution, or a matrix product if `window` is None: clip(w · x + b, low, high).

    The weight w is K × C/groups × kh × kw, the bias K. `factor` is what the layer's own weights are multiplied by.
    """

    weight: Array
    bias: Array
    window: Window | None
    low: float = -inf
    high: float = inf
    factor: Array | float = 1.0

    def scaled(self, factor: Array, offset: Array) -> Product:
        """Return the step followed by a factor and an offset for each output channel."""
        weight, bias = self.weight * factor.reshape(-1, 1, 1, 1), self.bias * factor + offset
        return replace(self, weight=weight, bias=bias, factor=self.factor * factor)


@dataclass(frozen=True, eq=False)
class Addition(Step):
    """clip(a + sign · b, low, high) of two results of one shape."""

    sign: int = 1
    low: float = -inf
    high: float = inf


@dataclass(frozen=True, eq=False)
class Multiplication(Step):
    """a · b, where b may be one number for each channel."""


@dataclass(frozen=True, eq=False)
class Mean(Step):
    """The sum of each window times `factor`; the padding counts as zeros."""

    size: Pair
    stride: Pair
    padding: Padding
    factor: float


@dataclass(frozen=True, eq=False)
class Function(Step):
    """A function of one number, or of one for each channel: the `path` of pointwise nodes from input to output."""

    path: tuple[Node, ...]


@dataclass(frozen=True, eq=False)
class Move(Step):
    """A step that keeps numbers as they are: reshape, slice, pad, max pooling, …"""


@dataclass(frozen=True, eq=False)
class Join(Step):
    """A concatenation."""


@dataclass(frozen=True, eq=False)
class Rest(Step):
    """A node that is computed in float32."""


def origins_of(steps: Sequence[Step]) -> dict[Tensor, Tensor]:
    """Return for results of moves the tensor that their numbers come from."""
    origins: dict[Tensor, Tensor] = {}
    for step in steps:
        if isinstance(step, Move):
            origins[step.output] = origins.get(step.inputs[0], step.inputs[0])
    return origins
