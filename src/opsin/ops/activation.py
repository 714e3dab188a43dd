"""Activation functions, composed of simpler operations."""

from __future__ import annotations

import math

from opsin.base.renamed_arguments import renamed_arguments
from opsin.ir import Tensor
from opsin.ops.arithmetic import add, multiply
from opsin.ops.compare import greater
from opsin.ops.unary import erf, relu6, sigmoid
from opsin.ops.where import where


@renamed_arguments(slope="negative_slope")
def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    """Return x if x > 0, else negative_slope · x (Maas, Hannun & Ng 2013)."""
    return multiply(x, where(greater(x, 0.0), 1.0, negative_slope))


def silu(x: Tensor) -> Tensor:
    """Return x · sigmoid(x), also called swish (Elfwing, Uchibe & Doya 2017)."""
    return multiply(x, sigmoid(x))


def hard_sigmoid(x: Tensor) -> Tensor:
    """Return relu6(x + 3) / 6 (Howard et al. 2019)."""
    return multiply(relu6(add(x, 3.0)), 1.0 / 6.0)


def hard_swish(x: Tensor) -> Tensor:
    """Return x · hard_sigmoid(x) (Howard et al. 2019)."""
    return multiply(x, hard_sigmoid(x))


def gelu(x: Tensor) -> Tensor:
    """Return x · Φ(x), with the normal distribution function Φ (Hendrycks & Gimpel 2016)."""
    return multiply(x, add(multiply(erf(multiply(x, math.sqrt(0.5))), 0.5), 0.5))
