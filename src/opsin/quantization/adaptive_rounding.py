"""Which weights are rounded to the farther of their two neighbours, so that a layer's results change least.

For results, what counts is not the squared error of the weights, but eᵀ H e with the covariance H of what they multiply
(Nagel et al., "Up or down? Adaptive rounding for post-training quantization", 2020). A filter's weights are rounded one
after another, and those that follow make up for the error as well as they can, by least squares (Frantar & Alistarh,
"Optimal brain compression", 2022). The covariance is about the mean, because the bias makes up for errors at the mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.ir import Graph, Tensor
from opsin.quantization.partition import steps_of
from opsin.quantization.ranges import Engine, Observation, Ranges
from opsin.quantization.rewrite import Rewriter
from opsin.quantization.scales import Scale
from opsin.quantization.sixteen_bits import costly_inputs
from opsin.quantization.steps import Array, Product, Window
from opsin.quantization.weights import LARGEST, IntegerWeights, channel_steps, nearest

MAX_INPUTS = 2304
"""Filters with more weights are rounded to the nearest: the work grows with the third power of their number."""
ROWS = 2**13
"""The number of windows of a layer's input that its covariance is estimated from."""
DAMPING = 0.1
"""What is added to the diagonal of a covariance, as a share of its mean, because it is an estimate."""
BLOCK = 64
"""Weights after which the error is put on all that follow; within a block, it is put on each other."""

Covariance = NDArray[np.float32]
"""groups × n × n, for filters of n weights."""


def adapt_rounding(
    graph: Graph,
    state: Mapping[str, NDArray[Any]],
    ranges: Ranges,
    images: NDArray[np.float32],
    engine: Engine,
    threads: int | None = None,
) -> None:
    """Choose the rounding of each layer's weights by normalized images N × C × H × W, and keep it in `ranges.farther`.

    Layers whose steps training has learned keep their rounding.
    """
    steps = steps_of(graph, state)
    products = [s for s in steps if isinstance(s, Product) and s.output not in ranges.steps]
    products = [s for s in products if prod(s.weight.shape[1:]) <= MAX_INPUTS]
    if products:
        inputs = list(dict.fromkeys(step.inputs[0] for step in products))
        observation = Observation(graph, state, inputs, images, engine, threads)
        found = covariances(products, ranges.means, observation)
        ranges.wide |= costly_inputs(steps, ranges, found)
        Rounder(graph, state, ranges, found).rewritten(steps)


def rounded_weights(graph: Graph) -> int:
    """Return how many weights of a network have a rounding that is chosen."""
    count = 0
    for node in graph.nodes:
        if node.op.name in ("conv2d", "matmul"):
            shape = [int(str(size)) for size in node.inputs[1].shape]
            filters = int(str(node.output.shape[1]))
            count += prod(shape) if prod(shape) <= MAX_INPUTS * filters else 0
    return count


def covariances(
    products: list[Product], means: Mapping[Tensor, Array], observation: Observation
) -> dict[Tensor, Covariance]:
    """Return for each product, by its result, the covariance of the numbers that its filters multiply."""
    rows = -(-ROWS // observation.batches)
    sums: dict[Tensor, Any] = {}
    counts = dict.fromkeys((step.output for step in products), 0)
    for tensor, array in observation:
        for step in products:
            if step.inputs[0] is tensor:
                seen = seen_by_filters(step, array, means[tensor].astype(np.float32), rows)
                sums[step.output] = sums.get(step.output, 0) + seen.transpose(0, 2, 1) @ seen
                counts[step.output] += seen.shape[1]
    return {tensor: total / counts[tensor] for tensor, total in sums.items()}


def seen_by_filters(step: Product, x: NDArray[np.float32], mean: NDArray[np.float32], rows: int) -> NDArray[np.float32]:
    """Return about `rows` windows of `x`, less the mean of each channel, as groups × rows × weights of a filter.

    Padding is zero before the mean is subtracted.
    """
    window = step.window or Window()
    image = np.pad(x.reshape(*x.shape[:2], *(x.shape[2:] or (1, 1))), ((0, 0), (0, 0), *window.padding))
    image -= mean.reshape(-1, 1, 1)
    (dh, dw), (sh, sw) = window.dilation, window.stride
    kh, kw = step.weight.shape[2:]
    views = np.lib.stride_tricks.sliding_window_view(image, ((kh - 1) * dh + 1, (kw - 1) * dw + 1), (2, 3))
    views = views[:, :, ::sh, ::sw, ::dh, ::dw]
    count = views.shape[0] * views.shape[2] * views.shape[3]
    n, i, j = np.unravel_index(np.arange(0, count, max(1, count // rows) | 1), (views.shape[0], *views.shape[2:4]))
    taken = views[n, :, i, j].reshape(len(n), window.groups, -1)
    return np.ascontiguousarray(taken.transpose(1, 0, 2))


class Rounder(Rewriter):
    """A `Rewriter` that chooses how weights are rounded when their scales are known."""

    def __init__(
        self, graph: Graph, state: Mapping[str, NDArray[Any]], ranges: Ranges, covariances: Mapping[Tensor, Covariance]
    ) -> None:
        super().__init__(graph, state, ranges)
        self.covariances = covariances

    def _rounded(self, step: Product, x: Scale, result: Scale | None) -> IntegerWeights:
        if step.output in self.covariances:
            scaled = step.weight / channel_steps(step, x, result=result).reshape(-1, 1, 1, 1)
            chosen = farther(scaled, self.covariances[step.output])
            self.ranges.farther[step.output] = np.packbits(chosen)
        return super()._rounded(step, x, result)


def farther(scaled: Array, covariance: Covariance) -> NDArray[np.bool_]:
    """Return which weights K × C/groups × kh × kw, in steps, are rounded to the farther neighbour.

    Filters for which that is no better than rounding to the nearest are rounded to the nearest.
    """
    by_group = scaled.reshape(len(covariance), -1, covariance.shape[1])
    near = nearest(by_group)
    chosen = compensated(by_group, covariance.astype(np.float64))
    better = squared_error(chosen - by_group, covariance) < squared_error(near - by_group, covariance)
    return np.asarray((chosen != near) & better[:, :, None]).reshape(scaled.shape)


def squared_error(error: Array, covariance: NDArray[Any]) -> Array:
    """Return eᵀ H e for the errors groups × filters × weights."""
    return np.asarray(((error @ covariance) * error).sum(axis=2))


def compensated(weights: Array, covariance: Array) -> Array:
    """Return weights groups × filters × n as whole numbers next to them, one rounded after another by least squares.

    Those with the largest variance come first, because most others can still make up for their errors.
    """
    variance = np.diagonal(covariance, axis1=1, axis2=2)
    order = np.argsort(-variance.mean(axis=0), kind="stable")
    damping = np.maximum(DAMPING * variance.mean(axis=1), np.finfo(np.float32).tiny)
    damped = covariance[:, order][:, :, order] + damping[:, None, None] * np.eye(len(order))
    factor = np.linalg.cholesky(np.linalg.inv(damped)).transpose(0, 2, 1)
    low, high = (np.clip(f(weights), -LARGEST, LARGEST)[:, :, order] for f in (np.floor, np.ceil))
    left, rounded = weights[:, :, order], np.empty_like(weights)
    for first in range(0, len(order), BLOCK):
        last = min(first + BLOCK, len(order))
        errors = np.zeros((*weights.shape[:2], last - first))
        for n in range(first, last):
            whole = np.clip(np.rint(left[:, :, n]), low[:, :, n], high[:, :, n])
            rounded[:, :, order[n]] = whole
            error = errors[:, :, n - first] = (left[:, :, n] - whole) / factor[:, n, n, None]
            left[:, :, n + 1 : last] -= error[:, :, None] * factor[:, None, n, n + 1 : last]
        left[:, :, last:] -= errors @ factor[:, first:last, last:]
    return rounded
