"""Principal components, against NumPy's singular value decomposition."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.explain.embedding import principal_components


def spectrum(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """Return points whose variances along some directions fall by a factor of 0.8 each, off the origin."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(columns, columns)))[0]
    return rng.normal(size=(rows, columns)) * 0.8 ** np.arange(columns) @ basis.T + 5.0


@pytest.mark.parametrize(("rows", "columns"), [(300, 200), (40, 90), (500, 12)])
def test_components_are_those_of_a_singular_value_decomposition(rows: int, columns: int) -> None:
    points = spectrum(rows, columns)
    found = principal_components(points, 5)
    centered = points - points.mean(axis=0)
    left, values, right = np.linalg.svd(centered, full_matrices=False)
    signs = np.sign((found.directions * right[:5].T).sum(axis=0))
    np.testing.assert_allclose(found.directions * signs, right[:5].T, atol=1e-6)
    np.testing.assert_allclose(found.scores * signs, (left * values)[:, :5], atol=1e-5)
    np.testing.assert_allclose(found.shares, values[:5] ** 2 / (values**2).sum(), rtol=1e-9)
    largest = np.abs(found.directions).argmax(axis=0)
    assert (found.directions[largest, range(5)] > 0).all()


def test_constant_directions_have_no_share() -> None:
    points = np.zeros((30, 4))
    points[:, 1] = np.arange(30)
    found = principal_components(points, 2)
    np.testing.assert_allclose(found.shares, [1, 0], atol=1e-12)
    np.testing.assert_allclose(np.abs(found.directions[:, 0]), [0, 1, 0, 0], atol=1e-12)
    assert not principal_components(np.ones((5, 3)), 2).scores.any()


def test_there_are_no_more_components_than_points_or_features() -> None:
    assert principal_components(spectrum(3, 8), 6).scores.shape == (3, 3)
    assert principal_components(spectrum(8, 1), 6).scores.shape == (8, 1)
