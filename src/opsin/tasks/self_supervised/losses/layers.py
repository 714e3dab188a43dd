"""Layers between features and a loss. They are trained with the network, and are no part of the model."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from opsin import ops
from opsin.base.errors import ShapeError
from opsin.ir import Tensor, variable


def linear(name: str, x: Tensor, width: int) -> Tensor:
    """Return x · Wᵀ + b, N × `width`, for x N × F."""
    features = x.shape[1]
    if not isinstance(features, int):
        raise ShapeError(f"features need a known number, but they are {x.type}")
    weight = variable(f"loss.{name}.weight", (width, features), init=("normal", sqrt(2 / features)), trainable=True)
    bias = variable(f"loss.{name}.bias", (width,), init=("constant", 0.0), trainable=True)
    return ops.add(ops.matmul(x, ops.transpose(weight, (1, 0))), bias)


def normalized(name: str, x: Tensor) -> Tensor:
    """Return x N × C × … after batch normalization by the statistics of the batch, and ReLU."""
    channels = x.shape[1]
    scale = variable(f"loss.{name}.scale", (channels,), init=("constant", 1.0), trainable=True)
    shift = variable(f"loss.{name}.shift", (channels,), init=("constant", 0.0), trainable=True)
    return ops.relu(ops.batch_norm_training(x, scale, shift)[0])


def projection(x: Tensor, widths: Sequence[int]) -> Tensor:
    """Return x N × F after linear layers of these `widths`, with batch normalization and ReLU between them."""
    for number, width in enumerate(widths, start=1):
        x = linear(f"projection{number}", x, width)
        if number < len(widths):
            x = normalized(f"norm{number}", x)
    return x


def convolution(name: str, x: Tensor, channels: int) -> Tensor:
    """Return a 3 × 3 convolution of x N × C × H × W that keeps the size, without bias."""
    inputs = x.shape[1]
    weight = variable(
        f"loss.{name}.weight", (channels, inputs, 3, 3), init=("normal", sqrt(2 / (9 * int(str(inputs))))),
        trainable=True,
    )  # fmt: skip
    return ops.conv2d(x, weight, padding=1)
