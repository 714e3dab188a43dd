"""Initializers: from the shape of a weight to how it, or the bias that goes with it, begins.

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
"""From a weight's shape to the first values of the weight or of its bias."""


@checked
def fan_in_uniform(shape: Shape) -> Init:
    """Uniform within ±1/√(inputs of a unit): PyTorch's default for weights and biases."""
    return ("uniform", 1 / math.sqrt(_count(shape[1:])))


@checked
def kaiming_normal(shape: Shape) -> Init:
    """Normal with variance 2 / (inputs of a unit), which keeps the size of what flows forward through ReLUs.

    He, Zhang, Ren & Sun, "Delving deep into rectifiers", 2015.
    """
    return ("normal", math.sqrt(2 / _count(shape[1:])))


@checked
def identity(shape: Shape) -> Init:
    """Of a convolution: filter i passes on channel i, as long as there are channels; further ones as `kaiming_normal`.

    Zagoruyko & Komodakis, "DiracNets", 2017: what is known at the bottom reaches the top from the first step on.
    """
    return ("identity", math.sqrt(2 / _count(shape[1:])))


@checked
def kaiming_normal_fan_out(shape: Shape) -> Init:
    """As `kaiming_normal`, by the units that an input reaches: it keeps the size of gradients instead."""
    return ("normal", math.sqrt(2 / _count((*shape[:1], *shape[2:]))))


@checked
def fan_out_uniform(shape: Shape) -> Init:
    """Uniform within ±1/√(units that an input reaches)."""
    return ("uniform", 1 / math.sqrt(_count((*shape[:1], *shape[2:]))))


@checked
def normal(std: float) -> Initializer:
    """Normal with mean 0, whatever the shape."""
    return lambda _: ("normal", std)


@checked
def constant(value: float) -> Initializer:
    """The same number everywhere."""
    return lambda _: ("constant", value)


def _count(shape: Shape) -> int:
    if not all(isinstance(size, int) for size in shape):
        raise ShapeError(f"linear: only the batch may be free, not the {shape[0]} input features")
    return math.prod(size for size in shape if isinstance(size, int))
