"""t-SNE: a map in two dimensions in which points that are neighbours in many dimensions are neighbours (2008).

After van der Maaten & Hinton, "Visualizing data using t-SNE" (2008). The repulsion is exact, between all pairs of
points. The attraction is that of each point's 3 · perplexity nearest neighbours (van der Maaten 2014): the others'
is vanishingly small. The map begins with two principal components (Kobak & Berens 2019), and the learning rate follows
from the number of points (Belkina et al. 2019), so that few iterations suffice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter
from opsin.base.errors import DataError
from opsin.data.machine_code import kernel_address
from opsin.explain.embedding.neighbours import nearest
from opsin.explain.embedding.pca import principal_components
from opsin.explain.embedding.products import Doubles, parallel
from opsin.kernels.spec import KERNEL_FUNCTION
from opsin.kernels.tsne_forces import POINTS_MULTIPLE, TSNEForces

Floats = NDArray[np.float32]

JITTER = 122
"""Purpose of random numbers (see `opsin.base.random_counter`)."""

PERPLEXITY = 30.0
DIMENSIONS = 50
"""Features are reduced to so many principal components first, which removes noise."""

EXAGGERATED, ITERATIONS = 250, 750
"""Iterations in which attraction is multiplied by `EXAGGERATION`, and all."""

EXAGGERATION = 12.0
MOMENTUM, EXAGGERATED_MOMENTUM = 0.8, 0.5
INITIAL_SPREAD = 1e-4
"""Standard deviation of the initial map."""

MIN_GAIN = 0.01
PADDING_COORDINATE = 1e18
"""The coordinates of points that pad an array; their q² is 0 in float32."""


@dataclass(frozen=True, eq=False)
class Affinities:
    """The symmetric joint probabilities p of neighbours: of point i from `starts[i]` up to `starts[i + 1]`."""

    starts: NDArray[np.int32]
    neighbours: NDArray[np.int32]
    p: Floats


@dataclass(frozen=True, eq=False)
class TSNEMap:
    """A map of N points: `positions` float32 N × 2, and the Kullback-Leibler `divergence` that was minimized."""

    positions: Floats
    divergence: float
    perplexity: float


def tsne(
    features: NDArray[np.floating[Any]],
    *,
    perplexity: float = PERPLEXITY,
    iterations: int = ITERATIONS,
    seed: int = 0,
    progress: Callable[[int], None] = lambda iteration: None,
) -> TSNEMap:
    """Return the map of features (N × F). `progress` is called after each iteration with its number, from 1.

    The perplexity is at most a third of the number of points less one. Raise `DataError` for fewer than 4 points, or
    for features that are not finite.
    """
    if len(features) < 4:
        raise DataError(f"t-SNE needs at least 4 points, not {len(features)}; give more")
    if not np.isfinite(features).all():
        raise DataError("the features contain NaN or infinity, so points have no distances; remove these points")
    perplexity = min(perplexity, (len(features) - 1) / 3)
    components = principal_components(features, DIMENSIONS, seed)
    affinities = find_affinities(components.scores, perplexity)
    positions = _initial_map(components.scores, seed)
    return _descend(positions, affinities, perplexity, iterations, progress)


def find_affinities(points: Doubles, perplexity: float) -> Affinities:
    """Return the affinities of points (N × K): Gaussians whose widths give each point the perplexity, symmetrized."""
    size, count = len(points), min(len(points) - 1, int(3 * perplexity))
    numbers, squared = nearest(points, count)
    conditional = conditional_probabilities(squared, perplexity) / (2 * size)
    rows, columns = np.repeat(np.arange(size), count), numbers.ravel()
    keys = np.concatenate([rows * size + columns, columns * size + rows])
    order = np.argsort(keys, kind="stable")
    edges, first = np.unique(keys[order], return_index=True)
    p = np.add.reduceat(np.concatenate([conditional.ravel(), conditional.ravel()])[order], first)
    starts = np.searchsorted(edges, np.arange(size + 1) * size)
    return Affinities(starts.astype(np.int32), (edges % size).astype(np.int32), p.astype(np.float32))


def conditional_probabilities(squared: Doubles, perplexity: float) -> Doubles:
    """Return p(j | i) ∝ exp(-β |i - j|²) for squared distances (N × neighbours), with β by bisection of each row.

    β gives the row an entropy of log(perplexity). A row of equal distances is uniform.
    """
    excess = squared - squared.min(axis=1, keepdims=True)
    scale = excess.mean(axis=1, keepdims=True)
    excess = excess / np.where(scale > 0, scale, 1.0)
    low, high = np.full((len(excess), 1), -30.0), np.full((len(excess), 1), 30.0)
    for _ in range(50):
        middle = (low + high) / 2
        weights = np.exp(-np.exp(middle) * excess)
        total = weights.sum(axis=1, keepdims=True)
        entropy = np.log(total) + np.exp(middle) * (weights * excess).sum(axis=1, keepdims=True) / total
        is_wide = entropy > np.log(perplexity)
        low, high = np.where(is_wide, middle, low), np.where(is_wide, high, middle)
    weights = np.exp(-np.exp(low) * excess)
    probabilities: Doubles = weights / weights.sum(axis=1, keepdims=True)
    return probabilities


def _initial_map(scores: Doubles, seed: int) -> Doubles:
    """Return the first two components, scaled down. Noise separates points that coincide."""
    plane = np.zeros((len(scores), 2))
    plane[:, : scores.shape[1]] = scores[:, :2]
    plane *= INITIAL_SPREAD / (float(plane[:, 0].std()) or 1.0)
    noise = random_counter.uniform(2 * len(plane), seed, JITTER).reshape(-1, 2)
    return plane + INITIAL_SPREAD / 100 * noise


class Forces:
    """The forces on the points of a map, by machine code on all cores."""

    def __init__(self, affinities: Affinities) -> None:
        self.affinities, self.size = affinities, len(affinities.starts) - 1
        padded = -(-self.size // POINTS_MULTIPLE) * POINTS_MULTIPLE
        self._axes = np.full((2, padded), PADDING_COORDINATE, np.float32)
        self._forces = np.zeros((self.size, 5), np.float32)
        self._function = KERNEL_FUNCTION(kernel_address(TSNEForces())[0])
        arrays = [*self._axes, affinities.starts, affinities.neighbours, affinities.p, self._forces]
        self._words = np.array([*(array.ctypes.data for array in arrays), padded], np.int64)

    def gradient(self, positions: Doubles, exaggeration: float = 1.0) -> tuple[Doubles, float]:
        """Return the gradient of the divergence (N × 2), and the sum of q over all pairs of different points."""
        self._axes[:, : self.size] = positions.T
        parallel(lambda rows: self._function(self._words.ctypes.data, rows.start, rows.stop, None), self.size)
        forces = self._forces.astype(np.float64)
        total = float(forces[:, 4].sum()) - self.size
        return 4.0 * (exaggeration * forces[:, :2] - forces[:, 2:4] / total), total


def _descend(
    positions: Doubles, affinities: Affinities, perplexity: float, iterations: int, progress: Callable[[int], None]
) -> TSNEMap:
    """Follow the gradient with momentum and a gain for each coordinate (Jacobs 1988)."""
    forces, rate = Forces(affinities), max(len(positions) / EXAGGERATION / 4, 50.0)
    velocity, gains = np.zeros_like(positions), np.ones_like(positions)
    for iteration in range(iterations):
        is_exaggerated = iteration < EXAGGERATED
        gradient, _ = forces.gradient(positions, EXAGGERATION if is_exaggerated else 1.0)
        is_opposed = (gradient > 0) != (velocity > 0)
        gains = np.maximum(np.where(is_opposed, gains + 0.2, gains * 0.8), MIN_GAIN)
        momentum = EXAGGERATED_MOMENTUM if is_exaggerated else MOMENTUM
        velocity = momentum * velocity - rate * gains * gradient
        positions = positions + velocity
        positions -= positions.mean(axis=0)
        progress(iteration + 1)
    _, total = forces.gradient(positions)
    return TSNEMap(positions.astype(np.float32), divergence(positions, affinities, total), perplexity)


def divergence(positions: Doubles, affinities: Affinities, total: float) -> float:
    """Return Σ p log(p / q) with q normalized by its `total` over all pairs."""
    rows = np.repeat(np.arange(len(positions)), np.diff(affinities.starts))
    differences = positions[rows] - positions[affinities.neighbours]
    q = 1.0 / (1.0 + (differences * differences).sum(axis=1)) / total
    p = affinities.p.astype(np.float64)
    is_positive = p > 0
    return float((p[is_positive] * np.log(p[is_positive] / q[is_positive])).sum())
