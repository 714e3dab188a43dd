"""Matrices packed in panels, from either order in memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from opsin.kernels.ir import Target
from opsin.kernels.panels import PackPanels, PackTransposed
from tests.kernels.support import HOST_TARGETS, arguments, each_run, guarded, margins_hold, pack, run_native

Run = Callable[..., None]
SHAPES = [(1, 1, 32, 32), (3, 3, 16, 48), (2, 1, 21, 37), (1, 2, 3, 5), (1, 1, 40, 1)]
"""kh × kw × depth × columns."""
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))


@each_run
@each_shape
def test_rows_are_packed(shape: tuple[int, ...], run: Run, target: Target) -> None:
    w = np.random.default_rng(0).standard_normal(shape, np.float32).reshape(-1, shape[-1])
    expected = pack(w, target)
    u, spec = guarded(expected.shape), PackPanels(shape[-1])
    run(spec, arguments(spec, w=w, u=u, depth=len(w)), 0, len(u), target=target)
    np.testing.assert_array_equal(u, expected)
    assert margins_hold(u)


def check_columns(shape: tuple[int, ...], backwards: bool, run: Run, target: Target) -> None:
    """Pack an array kh × kw × columns × depth, whose kernel is read from its end if `backwards`."""
    height, width, depth, columns = shape
    w = np.random.default_rng(1).standard_normal((height, width, columns, depth), np.float32)
    area = columns * depth
    start = w.ravel()[(height * width - 1) * area :] if backwards else w
    kernel = w[::-1, ::-1] if backwards else w
    expected = pack(kernel.swapaxes(2, 3).reshape(-1, columns), target)
    u, spec, sign = guarded(expected.shape), PackTransposed(columns), -1 if backwards else 1
    strides = {"column_stride": depth, "kh_stride": sign * width * area, "kw_stride": sign * area}
    run(spec, arguments(spec, w=start, u=u, kh=height, kw=width, depth=depth, **strides), 0, len(u), target=target)
    np.testing.assert_array_equal(u, expected)
    assert margins_hold(u)


@each_run
@each_shape
def test_columns_are_packed(shape: tuple[int, ...], run: Run, target: Target) -> None:
    check_columns(shape, False, run, target)


@pytest.mark.parametrize("target", HOST_TARGETS, ids=lambda row: row.name)
@each_shape
def test_columns_of_a_rotated_kernel_are_packed(shape: tuple[int, ...], target: Target) -> None:
    """As an input gradient reads it."""
    check_columns(shape, True, run_native, target)
