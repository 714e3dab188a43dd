"""Matrices packed in panels, from either order in memory."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.kernels.ir import Target
from opsin.kernels.panels import PackPanels, PackTransposed, panel_count
from tests.kernels.support import HOST_TARGETS, guarded, margins_hold, run_interpreted, run_native

SHAPES = [(1, 1, 32, 32), (3, 3, 16, 48), (2, 1, 21, 37), (1, 2, 3, 5), (1, 1, 40, 1)]
each_target = pytest.mark.parametrize("target", HOST_TARGETS, ids=lambda row: row.name)
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))


def expected(w: np.ndarray, target: Target) -> np.ndarray:
    """w (kh kw C K) in panels of two vectors, zeros beyond the last column."""
    columns, width = w.shape[-1], 2 * target.lanes
    blocks = panel_count(columns, target)
    wide = np.zeros((w.size // columns, blocks * width), np.float32)
    wide[:, :columns] = w.reshape(-1, columns)
    return wide.reshape(-1, blocks, width).swapaxes(0, 1)


@each_target
@each_shape
def test_rows_are_packed(shape: tuple[int, ...], target: Target) -> None:
    w = np.random.default_rng(0).standard_normal(shape, np.float32)
    right = expected(w, target)
    u = guarded(right.shape)
    run_native(PackPanels(shape[-1]), [w, u, right.shape[1]], 0, len(right), target=target)
    np.testing.assert_array_equal(u, right)
    assert margins_hold(u)


@each_target
@each_shape
def test_columns_are_packed(shape: tuple[int, ...], target: Target) -> None:
    """From an array (kh kw K C) whose kernel runs backwards in memory, as an input gradient reads it."""
    height, width, depth, columns = shape
    stored = np.random.default_rng(1).standard_normal((height, width, columns, depth), np.float32)
    right = expected(stored[::-1, ::-1].swapaxes(2, 3), target)
    u = guarded(right.shape)
    area = columns * depth
    start = stored.ravel()[(height * width - 1) * area :]
    args = [start, u, height, width, depth, depth, -width * area, -area]
    run_native(PackTransposed(columns), args, 0, len(right), target=target)
    np.testing.assert_array_equal(u, right)
    assert margins_hold(u)


def test_columns_are_packed_by_its_meaning() -> None:
    target = HOST_TARGETS[0]
    stored = np.random.default_rng(2).standard_normal((1, 1, 21, 2 * target.lanes + 3), np.float32)
    right = expected(stored.swapaxes(2, 3), target)
    u = guarded(right.shape)
    depth = stored.shape[3]
    run_interpreted(PackTransposed(21), [stored, u, 1, 1, depth, depth, 0, 0], 0, len(right), target=target)
    np.testing.assert_array_equal(u, right)
