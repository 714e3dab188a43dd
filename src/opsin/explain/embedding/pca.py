"""Principal components by subspace iteration from a random start (Halko, Martinsson & Tropp 2011)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter
from opsin.explain.embedding.products import Doubles, product

START = 121
"""Purpose of random numbers (see `opsin.base.random_counter`)."""

OVERSAMPLING = 14
"""Directions that are followed besides those that are wanted; they make these converge faster."""

ITERATIONS = 8

MIN_VARIANCE = 1e-12
"""A share of the largest variance below which a direction counts as constant."""


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """The coordinates of N points along the directions of the largest variance.

    `scores` are float64 N × C, `directions` F × C orthonormal columns, `shares` the share of the total variance that
    lies along each direction, the largest first.
    """

    scores: Doubles
    directions: Doubles
    shares: Doubles


def principal_components(features: NDArray[np.floating], count: int, seed: int = 0) -> PrincipalComponents:
    """Return the `count` principal components of features (N × F), or as many as there are.

    The largest coordinate of each direction is positive, so that signs are determined.
    """
    centered = features.astype(np.float64)
    centered -= centered.mean(axis=0)
    basis = _basis(centered, min(count + OVERSAMPLING, *centered.shape), seed)
    projected = product(centered, basis)
    variances, rotation = np.linalg.eigh(product(projected.T, projected))
    rotation = rotation[:, ::-1][:, :count]
    directions = product(basis, rotation)
    signs = np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])])
    total = float((centered * centered).sum())
    shares = np.maximum(variances[::-1][:count], 0.0) / (total or 1.0)
    return PrincipalComponents(product(projected, rotation) * signs, directions * signs, shares)


def _basis(centered: Doubles, size: int, seed: int) -> Doubles:
    """Return orthonormal columns (F × `size`) that span the directions of the largest variance."""
    columns = centered.shape[1]
    basis = _orthonormal(random_counter.uniform(columns * size, seed, START).reshape(columns, size))
    for _ in range(ITERATIONS if size < min(centered.shape) else 2):
        basis = _orthonormal(product(centered.T, product(centered, basis)))
    return basis


def _orthonormal(vectors: Doubles) -> Doubles:
    """Return orthonormal columns that span the same space; directions without any length become 0."""
    for _ in range(2):  # the second time removes the rounding errors of the first
        lengths = np.sqrt((vectors * vectors).sum(axis=0))
        vectors = vectors / np.where(lengths > 0, lengths, 1.0)
        values, rotation = np.linalg.eigh(product(vectors.T, vectors))
        scale = np.where(values > MIN_VARIANCE * values[-1], 1.0 / np.sqrt(np.maximum(values, 1e-300)), 0.0)
        vectors = product(vectors, rotation * scale)
    return vectors
