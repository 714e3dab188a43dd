"""Batch normalization (Ioffe & Szegedy, "Batch Normalization", 2015)."""

from __future__ import annotations

from opsin.ir import Tensor
from opsin.ops.arithmetic import add, multiply, subtract
from opsin.ops.reduce import mean, variance
from opsin.ops.registry import shape_error
from opsin.ops.reshape import reshape
from opsin.ops.unary import rsqrt


def batch_norm(x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor, eps: float = 1e-5) -> Tensor:
    """Return γ · (x - mean) / √(var + eps) + β with given statistics, all of shape C; x N × C × …"""
    scale = multiply(gamma, rsqrt(add(var, eps)))
    shift = subtract(beta, multiply(mean, scale))
    return add(multiply(x, _by_channel(x, scale)), _by_channel(x, shift))


def batch_norm_training(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor, Tensor]:
    """Normalize x N × C × … by the statistics of the batch. Return y, the mean C and the biased variance C."""
    axes = [axis for axis in range(x.rank) if axis != 1]
    batch_mean = mean(x, axes, keepdims=True)
    deviation = subtract(x, batch_mean)
    batch_variance = variance(x, axes, keepdims=True)
    scale = multiply(_by_channel(x, gamma), rsqrt(add(batch_variance, eps)))
    y = add(multiply(deviation, scale), _by_channel(x, beta))
    return y, reshape(batch_mean, gamma.shape), reshape(batch_variance, gamma.shape)


def _by_channel(x: Tensor, values: Tensor) -> Tensor:
    """Return `values` C, reshaped to broadcast along the channels of x N × C × …"""
    if x.rank < 2 or values.shape != x.shape[1:2]:
        raise shape_error(f"batch_norm: expected one number for each channel of {x.type}, got {values.type}")
    return reshape(values, (x.shape[1], *[1] * (x.rank - 2)))
