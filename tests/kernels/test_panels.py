"""Matrices packed in panels, from either order in memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from opsin.kernels.ir import BF16, Target, bfloat16
from opsin.kernels.panels import PackPanels, PanelShape, panel_shape
from tests.kernels.support import HOST_TARGETS, arguments, each_run, guarded, interleaved, margins_hold, run_native

Run = Callable[..., None]
SHAPES = [(1, 1, 32, 32), (3, 3, 16, 48), (3, 2, 20, 37), (2, 1, 4, 5), (1, 3, 24, 1)]
"""kh × kw × depth × columns."""
PANELS = [
    PanelShape(2, 1),
    PanelShape(1, 2),
    PanelShape(3, 4),
    PanelShape(5, 2),
    PanelShape(2, 2, BF16),
    PanelShape(3, 4, BF16),
]


def check(
    shape: tuple[int, ...], panel: PanelShape, transposed: bool, backwards: bool, run: Run, target: Target
) -> None:
    """Pack an array kh × kw × depth × columns, whose kernel is read from its end if `backwards`."""
    height, width, depth, columns = shape
    w = np.random.default_rng(2).standard_normal(shape, np.float32)
    area = depth * columns
    kernel = w[::-1, ::-1] if backwards else w
    expected = interleaved(kernel.reshape(-1, columns), panel, target)
    source = np.ascontiguousarray(w.swapaxes(2, 3)) if transposed else w
    start = source.ravel()[(height * width - 1) * area :] if backwards else source
    u, spec = guarded(expected.shape), PackPanels(columns, panel, transposed)
    if panel.pack == 2:
        u, spec, expected = guarded(expected.shape, np.uint16), spec.narrowed(["u"]), bfloat16.narrow(expected)
    sign = -1 if backwards else 1
    words = {"kh_stride": sign * width * area, "kw_stride": sign * area, "step": depth if transposed else columns}
    args = arguments(spec, w=start, u=u, kh=height, kw=width, depth=depth, **words)
    run(spec, args, 0, len(u), target=target)
    np.testing.assert_array_equal(u, expected)
    assert margins_hold(u)


@each_run
@pytest.mark.parametrize("panel", PANELS, ids=str)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_either_order_is_packed(
    shape: tuple[int, ...], transposed: bool, panel: PanelShape, run: Run, target: Target
) -> None:
    check(shape, panel, transposed, False, run, target)


@each_run
@pytest.mark.parametrize("shape", [(2, 1, 21, 37), (1, 2, 3, 5), (1, 1, 40, 1)])
@pytest.mark.parametrize("transposed", [False, True])
def test_any_depth_is_packed(shape: tuple[int, ...], transposed: bool, run: Run, target: Target) -> None:
    check(shape, PANELS[0], transposed, False, run, target)


@pytest.mark.parametrize("target", HOST_TARGETS, ids=lambda row: row.name)
@pytest.mark.parametrize("panel", PANELS[::4], ids=str)
def test_a_rotated_kernel_is_packed(panel: PanelShape, target: Target) -> None:
    """As an input gradient reads it: from a pointer into the array, which the interpreter does not allow."""
    check((3, 2, 20, 37), panel, True, True, run_native, target)


def test_the_shape_of_panels_wastes_few_lanes(any_target: Target) -> None:
    for columns in range(1, 200):
        shape = panel_shape(columns, 4, any_target)
        lanes = shape.count(columns, any_target) * shape.vectors * any_target.lanes
        plain = -(-columns // any_target.lanes) * any_target.lanes
        assert columns <= lanes / shape.interleave <= plain * 1.1
        assert shape.vectors * (shape.rows(any_target) + 1) + 1 <= any_target.registers
    assert panel_shape(48, 3, any_target).interleave == 1


def test_pairs_of_bfloat16_fill_as_many_lanes(any_target: Target) -> None:
    for columns in (8, 24, 36, 64, 100):
        shape, narrow = panel_shape(columns, 4, any_target), panel_shape(columns, 8, any_target, BF16)
        assert (narrow.vectors, narrow.folds, narrow.interleave) == (shape.vectors, shape.folds, 2 * shape.interleave)
