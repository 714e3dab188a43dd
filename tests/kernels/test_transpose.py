"""Copies that change which dimension is contiguous."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from opsin.kernels.ir import Target
from opsin.kernels.transpose import Transpose
from tests.kernels.support import HOST_TARGETS, arguments, each_run, guarded, margins_hold, run_native

Run = Callable[..., None]


each_shape = pytest.mark.parametrize(("rows", "columns"), [(16, 8), (37, 21), (3, 50), (50, 3)])


def check(rows: int, columns: int, backwards: bool, run: Run, target: Target) -> None:
    """Copy with the outer dimensions exchanged, and the first one of x read backwards if asked for."""
    x = np.random.default_rng(rows).standard_normal((2, 3, columns, rows), np.float32)
    y, size = guarded((3, 2, rows, columns)), columns * rows
    spec = Transpose(2)
    words = {"rows": rows, "columns": columns, "x_step": rows, "y_step": columns, "extents": [3, 2]}
    strides = {"x_strides": [size, -3 * size if backwards else 3 * size], "y_strides": [2 * size, size]}
    args = arguments(spec, x=x[1] if backwards else x, y=y, **words, **strides)
    run(spec, args, 0, 6 * -(-rows // Transpose.ROWS), target=target)
    np.testing.assert_array_equal(y, (x[::-1] if backwards else x).transpose(1, 0, 3, 2))
    assert margins_hold(y)


@each_run
@each_shape
def test_transposed_copies(rows: int, columns: int, run: Run, target: Target) -> None:
    check(rows, columns, False, run, target)


@pytest.mark.parametrize("target", HOST_TARGETS, ids=lambda row: row.name)
@each_shape
def test_arrays_that_are_read_backwards(rows: int, columns: int, target: Target) -> None:
    check(rows, columns, True, run_native, target)
