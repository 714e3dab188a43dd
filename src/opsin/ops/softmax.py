"""Softmax and its logarithm, shifted by the maximum, which prevents overflow."""

from __future__ import annotations

from opsin.ir import Tensor
from opsin.ops.arithmetic import divide, subtract
from opsin.ops.broadcast import sum
from opsin.ops.reduce import max
from opsin.ops.stop_gradient import stop_gradient
from opsin.ops.unary import exp, log


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Return e^x / Σ e^x along `axis` (Bridle 1990)."""
    powers = exp(_shifted(x, axis))
    return divide(powers, sum(powers, axis, keepdims=True))


def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Return log softmax(x) along `axis`, without taking the logarithm of an underflowed number."""
    shifted_logits = _shifted(x, axis)
    return subtract(shifted_logits, log(sum(exp(shifted_logits), axis, keepdims=True)))


def _shifted(x: Tensor, axis: int) -> Tensor:
    return subtract(x, stop_gradient(max(x, axis, keepdims=True)))
