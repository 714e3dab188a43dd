"""Matrices packed in panels, from either order in memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from opsin.kernels.ir import Target
from opsin.kernels.panels import PackInterleaved, PackPanels, PackTransposed, PanelShape, panel_shape
from tests.kernels.support import (
    HOST_TARGETS,
    arguments,
    each_run,
    guarded,
    interleaved,
    margins_hold,
    pack,
    run_native,
)

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


@each_run
@pytest.mark.parametrize(("vectors", "interleave"), [(2, 1), (1, 2), (3, 4), (5, 2)])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 32, 32), (3, 2, 20, 37), (2, 1, 4, 5), (1, 3, 24, 1)])
def test_interleaved_panels(
    shape: tuple[int, ...], transposed: bool, vectors: int, interleave: int, run: Run, target: Target
) -> None:
    height, width, depth, columns = shape
    w = np.random.default_rng(2).standard_normal(shape, np.float32)
    panel = PanelShape(vectors, interleave)
    expected = interleaved(w.reshape(-1, columns), panel, target)
    u, spec = guarded(expected.shape), PackInterleaved(columns, panel, transposed)
    source = np.ascontiguousarray(w.swapaxes(2, 3)) if transposed else w
    strides = {"kh_stride": width * depth * columns, "kw_stride": depth * columns}
    step = depth if transposed else columns
    args = arguments(spec, w=source, u=u, kh=height, kw=width, depth=depth, step=step, **strides)
    run(spec, args, 0, len(u), target=target)
    np.testing.assert_array_equal(u, expected)
    assert margins_hold(u)


def test_the_shape_of_panels_wastes_few_lanes(any_target: Target) -> None:
    for columns in range(1, 200):
        shape = panel_shape(columns, 4, any_target)
        lanes = shape.count(columns, any_target) * shape.vectors * any_target.lanes
        plain = -(-columns // any_target.lanes) * any_target.lanes
        assert columns <= lanes / shape.interleave <= plain * 1.1
        assert shape.vectors * (shape.rows(any_target) + 1) + 1 <= any_target.registers
    assert panel_shape(48, 3, any_target).interleave == 1
