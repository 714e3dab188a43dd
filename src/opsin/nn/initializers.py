"""Initializers: functions from the shape of a weight to the `init` of the weight or of its bias.

Shapes are those of layers: out × in/groups × rows × columns, or out × in. See `opsin.ir.initial_state` for the results.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from opsin.base.errors import ShapeError
from opsin.ir import Shape
from opsin.ir.checked import checked
from opsin.nn.layer import Init

Initializer = Callable[[Shape], Init]
"""From the shape of a weight to the initial values of the weight or of its bias."""


@checked
def fan_in_uniform(shape: Shape) -> Init:
    """Return uniform within ±1/√fan-in: PyTorch's default for weights and biases."""
    return ("uniform", 1 / math.sqrt(_count(shape[1:])))


@checked
def kaiming_normal(shape: Shape) -> Init:
    """Return normal with variance 2 / fan-in, which preserves the variance of activations through ReLUs.

    He, Zhang, Ren & Sun, "Delving deep into rectifiers", 2015.
    """
    return ("normal", math.sqrt(2 / _count(shape[1:])))


@checked
def identity(shape: Shape) -> Init:
    """Return, for a convolution: filter i copies channel i; filters beyond the channels are as in `kaiming_normal`.

    Zagoruyko & Komodakis, "DiracNets", 2017: the inputs reach the last layers from the first step on.
    """
    return ("identity", math.sqrt(2 / _count(shape[1:])))


@checked
def kaiming_normal_fan_out(shape: Shape) -> Init:
    """Return normal with variance 2 / fan-out, which preserves the variance of gradients instead."""
    return ("normal", math.sqrt(2 / _count((*shape[:1], *shape[2:]))))


@checked
def fan_out_uniform(shape: Shape) -> Init:
    """Return uniform within ±1/√fan-out."""
    return ("uniform", 1 / math.sqrt(_count((*shape[:1], *shape[2:]))))


@checked
def normal(std: float) -> Initializer:
    """Return an initializer that is normal with mean 0, for any shape."""
    return lambda _: ("normal", std)


@checked
def constant(value: float) -> Initializer:
    """Return an initializer with the same number everywhere."""
    return lambda _: ("constant", value)


def _count(shape: Shape) -> int:
    if not all(isinstance(size, int) for size in shape):
        raise ShapeError(f"linear: only the batch may be free, not the {shape[0]} input features")
    return math.prod(size for size in shape if isinstance(size, int))
