"""The activations of the field, composed of simpler functions."""

from __future__ import annotations

import math

from opsin.ir import Tensor
from opsin.ops.arithmetic import add, multiply
from opsin.ops.compare import greater
from opsin.ops.unary import erf, relu6, sigmoid
from opsin.ops.where import where


def leaky_relu(x: Tensor, slope: float = 0.01) -> Tensor:
    """x where positive, else slope · x (Maas, Hannun & Ng 2013)."""
    return multiply(x, where(greater(x, 0.0), 1.0, slope))


def silu(x: Tensor) -> Tensor:
    """x · sigmoid(x), also called swish (Elfwing, Uchibe & Doya 2017)."""
    return multiply(x, sigmoid(x))


def hard_sigmoid(x: Tensor) -> Tensor:
    """relu6(x + 3) / 6 (Howard et al. 2019)."""
    return multiply(relu6(add(x, 3.0)), 1.0 / 6.0)


def hard_swish(x: Tensor) -> Tensor:
    """x · hard_sigmoid(x) (Howard et al. 2019)."""
    return multiply(x, hard_sigmoid(x))


def gelu(x: Tensor) -> Tensor:
    """x · Φ(x), with the normal distribution's Φ by the error function (Hendrycks & Gimpel 2016)."""
    return multiply(x, add(multiply(erf(multiply(x, math.sqrt(0.5))), 0.5), 0.5))
