"""Multinomial logistic regression on features: the last layer of a network, fitted to convergence with L-BFGS."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter
from opsin.base.processors import processors
from opsin.tasks.probabilities import softmax

T = TypeVar("T")

FOLD_ORDER = 101
"""Purpose of the random numbers of `folds` (see `opsin.base.random_counter`)."""

PENALTIES = (1000.0, 300.0, 100.0, 30.0)
"""Candidates for the weight of the L2 penalty, the strongest first."""

HISTORY_SIZE = 10
MAX_ITERATIONS = 200
MIN_IMPROVEMENT = 5e-4
"""Stop when an iteration reduces the objective by a smaller share."""

SINGLE_THREAD_MACS = 2**18
"""MACs of a matrix product up to which BLAS libraries use a single thread. For products as narrow as these,
their threads wait for each other longer than they compute; fits run in parallel instead."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class LinearHead:
    """Logits = (features - `mean`) / `scale` · `weights`[:-1] + `weights`[-1]."""

    mean: Floats
    scale: float
    weights: Floats

    def logits(self, features: Floats) -> Floats:
        """Return logits (N × classes) of features (N × F)."""
        result: Floats = _product((features - self.mean) / np.float32(self.scale), self.weights[:-1]) + self.weights[-1]
        return result

    def probabilities(self, features: Floats) -> NDArray[np.float64]:
        return softmax(self.logits(features))


def fit(
    features: Floats, labels: NDArray[Any], classes: int, penalty: float, start: Floats | None = None
) -> LinearHead:
    """Minimise the cross-entropy (a sum over images) plus `penalty`/2 times the squared weights.

    `features` are float32 N × F, `labels` N integers below `classes`; `start` are initial weights. The objective is
    convex; it is solved with L-BFGS (Liu & Nocedal 1989) and a backtracking line search.
    """
    mean, scale = features.mean(axis=0), float(features.std()) or 1.0
    inputs = np.concatenate([(features - mean) / np.float32(scale), np.ones((len(features), 1), np.float32)], axis=1)
    targets = np.eye(classes, dtype=np.float32)[labels]
    penalties = np.full((inputs.shape[1], 1), penalty, np.float32)
    penalties[-1] = 1e-3  # biases follow the class frequencies

    def objective(weights: Floats) -> tuple[float, Floats]:
        logits = _product(inputs, weights)
        logits -= logits.max(axis=1, keepdims=True)
        exponentials = np.exp(logits)
        total = exponentials.sum(axis=1, keepdims=True)
        loss = float(np.log(total).sum(dtype=np.float64) - (logits * targets).sum(dtype=np.float64))
        gradient = _transposed_product(inputs, exponentials / total - targets) + penalties * weights
        return loss + 0.5 * float((penalties * weights * weights).sum(dtype=np.float64)), gradient

    weights = np.zeros((inputs.shape[1], classes), np.float32) if start is None else start
    return LinearHead(mean, scale, _minimise(objective, weights))


def _product(left: Floats, right: Floats) -> Floats:
    """Return `left` · `right`, computed a few rows at a time."""
    rows, result = max(1, SINGLE_THREAD_MACS // right.size), np.empty((len(left), right.shape[1]), np.float32)
    for first in range(0, len(left), rows):
        np.matmul(left[first : first + rows], right, out=result[first : first + rows])
    return result


def _transposed_product(left: Floats, right: Floats) -> Floats:
    """Return the transpose of `left` · `right`, computed a few rows at a time."""
    rows = max(1, SINGLE_THREAD_MACS // (left.shape[1] * right.shape[1]))
    result = np.zeros((left.shape[1], right.shape[1]), np.float32)
    for first in range(0, len(left), rows):
        result += left[first : first + rows].T @ right[first : first + rows]
    return result


def _minimise(objective: Any, weights: Floats) -> Floats:
    """Minimise `objective` (weights → value, gradient) with L-BFGS."""
    value, gradient = objective(weights)
    moves: list[Floats] = []
    changes: list[Floats] = []
    for _ in range(MAX_ITERATIONS):
        direction = _direction(gradient, moves, changes)
        slope, step = float((direction * gradient).sum()), 1.0
        while True:
            candidate = weights - np.float32(step) * direction
            new_value, new_gradient = objective(candidate)
            if new_value <= value - 1e-4 * step * slope:
                break
            step /= 2
            if step < 1e-6:  # no smaller step makes a difference in float32
                return weights
        move, change = candidate - weights, new_gradient - gradient
        if float((move * change).sum()) > 0:
            moves, changes = [*moves, move][-HISTORY_SIZE:], [*changes, change][-HISTORY_SIZE:]
        has_converged = value - new_value < MIN_IMPROVEMENT * abs(value)
        weights, value, gradient = candidate, new_value, new_gradient
        if has_converged:
            break
    return weights


def _direction(gradient: Floats, moves: list[Floats], changes: list[Floats]) -> Floats:
    """Return the gradient times an estimate of the inverse Hessian from the last moves (the two-loop recursion)."""
    result, factors = gradient.copy(), []
    for move, change in zip(reversed(moves), reversed(changes), strict=True):
        factor = (move * result).sum() / (move * change).sum()
        factors.append(factor)
        result -= factor * change
    if moves:
        result *= (moves[-1] * changes[-1]).sum() / (changes[-1] ** 2).sum()
    else:
        result /= max(1.0, float(np.abs(gradient).sum()))
    for move, change, factor in zip(moves, changes, reversed(factors), strict=True):
        result += move * (factor - (change * result).sum() / (move * change).sum())
    return result


def folds(labels: NDArray[Any], count: int) -> NDArray[np.intp]:
    """Return, for each image, the number of a fold, 0 to `count` - 1; stratified and deterministic."""
    rank = random_counter.words(len(labels), 0, FOLD_ORDER)
    order = np.lexsort((rank, labels))
    fold = np.empty(len(labels), np.intp)
    fold[order] = np.arange(len(labels)) % count
    return fold


def run_in_parallel(work: Callable[[int], T], count: int) -> list[T]:
    """Return `work(0)` … `work(count - 1)`, computed on all cores."""
    with ThreadPoolExecutor(processors()) as pool:
        return list(pool.map(work, range(count)))


def choose_penalty(features: Floats, labels: NDArray[Any], classes: int) -> float:
    """Return the one of `PENALTIES` with the lowest cross-entropy on a held-out fifth of the images."""
    held_out = folds(labels, 5) == 0
    numbers = np.arange(held_out.sum())

    def loss(number: int) -> float:
        head = fit(features[~held_out], labels[~held_out], classes, PENALTIES[number])
        probabilities = head.probabilities(features[held_out])[numbers, labels[held_out]]
        return float(-np.log(np.maximum(probabilities, 1e-12)).mean())

    return PENALTIES[int(np.argmin(run_in_parallel(loss, len(PENALTIES))))]
