"""Multinomial logistic regression on features: the last layer of a network, fitted exactly and in no time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter
from opsin.base.processors import processors
from opsin.model.calibration import softmax

T = TypeVar("T")

FOLDING = 101
"""What the random numbers of `folds` are for (see `opsin.base.random_counter`)."""

PENALTIES = (1000.0, 300.0, 100.0, 30.0)
"""Weights of the squared parameters that are tried, the most cautious first."""

MEMORY = 10
ITERATIONS = 200
ENOUGH = 5e-4
"""The share of the objective that an iteration has to take off, or it was the last one."""

ALONE = 2**18
"""Multiply-adds of a product of matrices up to which BLAS libraries use no threads of their own. Theirs wait for each
other longer than they compute, with products as narrow as these; fits run side by side instead."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Head:
    """Logits = (features - `mean`) / `scale` · `weights`[:-1] + `weights`[-1]."""

    mean: Floats
    scale: float
    weights: Floats

    def logits(self, features: Floats) -> Floats:
        """N × features → N × classes."""
        result: Floats = _product((features - self.mean) / np.float32(self.scale), self.weights[:-1]) + self.weights[-1]
        return result

    def probabilities(self, features: Floats) -> NDArray[np.float64]:
        return softmax(self.logits(features))


def fit(features: Floats, labels: NDArray[Any], classes: int, penalty: float, start: Floats | None = None) -> Head:
    """The head with the least cross-entropy (a sum over images) plus `penalty`/2 · the squares of its weights.

    `features` float32 N × F, `labels` N, whole numbers below `classes`; `start` are weights to begin with. Solved with
    L-BFGS (Liu & Nocedal 1989) and a backtracking line search; the objective is convex.
    """
    mean, scale = features.mean(axis=0), float(features.std()) or 1.0
    inputs = np.concatenate([(features - mean) / np.float32(scale), np.ones((len(features), 1), np.float32)], axis=1)
    targets = np.eye(classes, dtype=np.float32)[labels]
    strength = np.full((inputs.shape[1], 1), penalty, np.float32)
    strength[-1] = 1e-3  # the biases follow the frequencies of the classes

    def objective(weights: Floats) -> tuple[float, Floats]:
        logits = _product(inputs, weights)
        logits -= logits.max(axis=1, keepdims=True)
        shares = np.exp(logits)
        total = shares.sum(axis=1, keepdims=True)
        loss = float(np.log(total).sum(dtype=np.float64) - (logits * targets).sum(dtype=np.float64))
        gradient = _transposed_product(inputs, shares / total - targets) + strength * weights
        return loss + 0.5 * float((strength * weights * weights).sum(dtype=np.float64)), gradient

    weights = np.zeros((inputs.shape[1], classes), np.float32) if start is None else start
    return Head(mean, scale, _minimise(objective, weights))


def _product(left: Floats, right: Floats) -> Floats:
    """`left` · `right`, a few rows at a time."""
    rows, result = max(1, ALONE // right.size), np.empty((len(left), right.shape[1]), np.float32)
    for first in range(0, len(left), rows):
        np.matmul(left[first : first + rows], right, out=result[first : first + rows])
    return result


def _transposed_product(left: Floats, right: Floats) -> Floats:
    """`left` transposed · `right`, a few rows at a time."""
    rows = max(1, ALONE // (left.shape[1] * right.shape[1]))
    result = np.zeros((left.shape[1], right.shape[1]), np.float32)
    for first in range(0, len(left), rows):
        result += left[first : first + rows].T @ right[first : first + rows]
    return result


def _minimise(objective: Any, weights: Floats) -> Floats:
    value, gradient = objective(weights)
    moves: list[Floats] = []
    changes: list[Floats] = []
    for _ in range(ITERATIONS):
        direction = _direction(gradient, moves, changes)
        slope, step = float((direction * gradient).sum()), 1.0
        while True:
            candidate = weights - np.float32(step) * direction
            found, slopes = objective(candidate)
            if found <= value - 1e-4 * step * slope:
                break
            step /= 2
            if step < 1e-6:  # float32 can tell no difference any more
                return weights
        move, change = candidate - weights, slopes - gradient
        if float((move * change).sum()) > 0:
            moves, changes = [*moves, move][-MEMORY:], [*changes, change][-MEMORY:]
        done = value - found < ENOUGH * abs(value)
        weights, value, gradient = candidate, found, slopes
        if done:
            break
    return weights


def _direction(gradient: Floats, moves: list[Floats], changes: list[Floats]) -> Floats:
    """The gradient times an estimate of the inverse curvature, from the last moves (the two-loop recursion)."""
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
    """For each image the number of a fold, 0 to `count` - 1: stratified, deterministic."""
    rank = random_counter.words(len(labels), 0, FOLDING)
    order = np.lexsort((rank, labels))
    fold = np.empty(len(labels), np.intp)
    fold[order] = np.arange(len(labels)) % count
    return fold


def side_by_side(work: Callable[[int], T], count: int) -> list[T]:
    """`work` of 0 … `count` - 1, on all cores."""
    with ThreadPoolExecutor(processors()) as pool:
        return list(pool.map(work, range(count)))


def choose_penalty(features: Floats, labels: NDArray[Any], classes: int) -> float:
    """The one of `PENALTIES` that gives a held-out fifth the least cross-entropy."""
    held_out = folds(labels, 5) == 0
    known, asked = features[~held_out], features[held_out]
    numbers = np.arange(len(asked))

    def loss(number: int) -> float:
        head = fit(known, labels[~held_out], classes, PENALTIES[number])
        chosen = head.probabilities(asked)[numbers, labels[held_out]]
        return float(-np.log(np.maximum(chosen, 1e-12)).mean())

    return PENALTIES[int(np.argmin(side_by_side(loss, len(PENALTIES))))]
