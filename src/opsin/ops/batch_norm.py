"""Batch normalisation (Ioffe & Szegedy, "Batch Normalization", 2015)."""

from __future__ import annotations

from opsin.ir import Tensor
from opsin.ops.arithmetic import add, multiply, subtract
from opsin.ops.reduce import mean, variance
from opsin.ops.registry import misfit
from opsin.ops.reshape import reshape
from opsin.ops.unary import rsqrt


def batch_norm(x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor, eps: float = 1e-5) -> Tensor:
    """γ · (x - mean) / √(var + eps) + β with known statistics, all of shape C; x N × C × …"""
    scale = multiply(gamma, rsqrt(add(var, eps)))
    shift = subtract(beta, multiply(mean, scale))
    return add(multiply(x, _by_channel(x, scale)), _by_channel(x, shift))


def batch_norm_training(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor, Tensor]:
    """Normalises by the batch's own statistics: (y, their mean C, their biased variance C); x N × C × …"""
    axes = [axis for axis in range(x.rank) if axis != 1]
    centre = mean(x, axes, keepdims=True)
    centred = subtract(x, centre)
    spread = variance(x, axes, keepdims=True)
    scale = multiply(_by_channel(x, gamma), rsqrt(add(spread, eps)))
    y = add(multiply(centred, scale), _by_channel(x, beta))
    return y, reshape(centre, gamma.shape), reshape(spread, gamma.shape)


def _by_channel(x: Tensor, values: Tensor) -> Tensor:
    """`values` C, with the axes that let them meet the channels of x N × C × …"""
    if x.rank < 2 or values.shape != x.shape[1:2]:
        raise misfit(f"batch_norm: expected one number for each channel of {x.type}, got {values.type}")
    return reshape(values, (x.shape[1], *[1] * (x.rank - 2)))
