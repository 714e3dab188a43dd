"""The weights of a product as 8-bit integers, with the whole numbers that scale its sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import ModelError
from opsin.quantization.fixed_point import odd_divisors, scaling, smallest_step
from opsin.quantization.scales import Scale
from opsin.quantization.steps import Array, Product

LARGEST = 127
"""Weights are symmetric, -127 to 127."""
SHARES = np.linspace(1.0, 0.6, 17)
"""The shares of a channel's largest weight at which clipping is tried."""
SMALLEST_STEP = 1e-12
"""Of weights that are all zero."""
MAX_SUM = 2**31 - 2**29
MAX_BIAS, MAX_OFFSET = 2**29, 2**28
"""Sums stay within 32 bits; of their range a quarter is left to the bias, and one to the zero point of the result and
the rounding."""


@dataclass(frozen=True)
class IntegerWeights:
    """w int8, the scale of each output channel's sums, and the bias in these units without rounding."""

    weight: NDArray[np.int8]
    unit: Array
    bias: Array

    def offset(self) -> NDArray[np.int32]:
        """Return the bias as whole numbers, for sums that become real numbers."""
        return np.rint(self.bias).astype(np.int32)

    def scaled_to(self, scale: Scale) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return bias and multiplier for results of `scale`, which are added to its least number."""
        multipliers, biases = scaling(scale.step / self.unit, scale)
        return (np.rint(self.bias) + biases).astype(np.int32), multipliers.astype(np.int32)

    def fits(self, largest: int = 128) -> bool:
        """Whether every sum stays within 32 bits, whatever input up to `largest` there is."""
        sums = largest * np.abs(self.weight.astype(np.int64)).sum(axis=(1, 2, 3)) + np.abs(self.bias)
        return bool(sums.max() < MAX_SUM)

    def smallest_step(self) -> float:
        """Return the smallest step of a result whose multipliers fit into 32 bits."""
        return smallest_step(float(self.unit.max()))


def integer_weights(
    step: Product,
    x: Scale,
    mean: Array | None = None,
    learned: Array | None = None,
    farther: NDArray[np.uint8] | None = None,
    result: Scale | None = None,
) -> IntegerWeights:
    """Return the weights of `step` for an input of the scale `x`, and a result of the scale `result` if it is rounded.

    `mean` is that of each input channel: the bias makes up for the error of the rounded weights at the mean (Nagel et
    al., "Data-free quantization through weight equalization and bias correction", 2019). `learned` are the steps of the
    layer's own weights with which it was trained. `farther` has a bit for each weight, eight to a number: whether it is
    rounded to the farther of its neighbours. Raise `ModelError` if their number is another.
    """
    steps = channel_steps(step, x, learned, result)
    column = steps.reshape(-1, 1, 1, 1)
    scaled = step.weight / column
    weight = nearest(scaled) if farther is None else to_neighbours(scaled, farther)
    bias = step.bias
    if mean is not None:
        bias = bias - shift_of_mean(weight * column - step.weight, mean, step.window.groups if step.window else 1)
    unit = x.step * steps
    total = weight.sum(axis=(1, 2, 3))
    return IntegerWeights(weight.astype(np.int8), unit, bias / unit - x.zero * total)


def channel_steps(step: Product, x: Scale, learned: Array | None = None, result: Scale | None = None) -> Array:
    """Return the step of each output channel's weights, large enough that the bias fits into 32 bits.

    Unless steps are `learned`, those of `result` are odd numbers of steps of the sums.
    """
    own = weight_steps(step.weight) if learned is None else learned * np.abs(step.factor)
    steps = np.maximum(own, np.abs(step.bias) / (x.step * MAX_BIAS))
    if result is None:
        return steps
    steps = np.maximum(steps, result.step / x.step * (result.greatest - result.least) / MAX_OFFSET)
    ratios = result.step / (x.step * steps)
    return steps if learned is not None else steps * ratios / odd_divisors(ratios)


def nearest(scaled: Array) -> Array:
    """Return the nearest whole numbers of weights in steps."""
    return np.clip(np.rint(scaled), -LARGEST, LARGEST)


def to_neighbours(scaled: Array, farther: NDArray[np.uint8]) -> Array:
    """Return whole numbers next to weights in steps: the nearest, or the other one where a bit of `farther` is set."""
    if len(farther) != -(-scaled.size // 8):
        raise ModelError("the rounding of weights for 8-bit integers does not belong to the network")
    is_farther = np.unpackbits(farther, count=scaled.size).reshape(scaled.shape)
    near = np.rint(scaled)
    return np.clip(near + is_farther * np.sign(scaled - near), -LARGEST, LARGEST)


def weight_steps(weight: Array) -> Array:
    """Return the step of each output channel: the one with the least squared error of the weights."""
    rows = weight.reshape(len(weight), -1)
    largest = np.maximum(np.abs(rows).max(axis=1), LARGEST * SMALLEST_STEP)
    errors = []
    for share in SHARES:
        steps = (largest * share / LARGEST)[:, None]
        errors.append(((np.clip(np.rint(rows / steps), -LARGEST, LARGEST) * steps - rows) ** 2).sum(axis=1))
    return np.asarray(largest * SHARES[np.argmin(errors, axis=0)] / LARGEST)


def own_steps(step: Product, x: Scale, result: Scale | None) -> Array:
    """Return the steps of the layer's own weights, before they are multiplied by a factor for each output channel."""
    factor = np.abs(np.broadcast_to(step.factor, step.bias.shape))
    steps = channel_steps(step, x, result=result)
    return np.asarray(np.where(factor > 0, steps / np.maximum(factor, SMALLEST_STEP), 1.0))


def shift_of_mean(error: Array, mean: Array, groups: int) -> Array:
    """Return by how much an error of the weights moves each output channel's mean, away from the padding."""
    channels = error.sum(axis=(2, 3))
    by_group = channels.reshape(groups, len(channels) // groups, -1) @ mean.reshape(groups, -1, 1)
    return np.asarray(by_group.reshape(-1))
