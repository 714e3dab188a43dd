"""The forces of t-SNE, against their formulas in NumPy."""

from __future__ import annotations

import numpy as np

from opsin.kernels.ir import Target
from opsin.kernels.tsne_forces import POINTS_MULTIPLE, TSNEForces
from tests.kernels.support import each_run, guarded, margins_hold

FAR = 1e18


@each_run
def test_forces_are_the_sums_of_the_formulas(run: object, target: Target) -> None:
    rng = np.random.default_rng(3)
    count, padded = 21, 2 * POINTS_MULTIPLE
    y = rng.normal(size=(count, 2)).astype(np.float32) * 3
    p = np.where(rng.random((count, count)) < 0.3, rng.random((count, count)), 0).astype(np.float32)
    p[5] = 0  # a point without neighbours
    rows, neighbours = np.nonzero(p)
    starts = np.searchsorted(rows, np.arange(count + 1)).astype(np.int32)
    axes = np.full((2, padded), FAR, np.float32)
    axes[:, :count] = y.T
    forces = guarded((count, 5))
    args = [axes[0], axes[1], starts, neighbours.astype(np.int32), p[rows, neighbours], forces, padded]
    run(TSNEForces(), args, 0, 9, target=target)  # type: ignore[operator]
    run(TSNEForces(), args, 9, count, target=target)  # type: ignore[operator]
    differences = y[:, None].astype(np.float64) - y[None]
    q = 1 / (1 + (differences**2).sum(axis=2))
    attraction = ((p * q)[..., None] * differences).sum(axis=1)
    repulsion = ((q * q)[..., None] * differences).sum(axis=1)
    np.testing.assert_allclose(forces, np.c_[attraction, repulsion, q.sum(axis=1)], rtol=1e-5, atol=1e-5)
    assert margins_hold(forces)
