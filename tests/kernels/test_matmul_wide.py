"""Products with a large right operand, which is packed, turned or streamed; copies that turn an array."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.kernels.expression import Expression, Step
from opsin.kernels.ir import Target
from opsin.kernels.matmul_wide import MatMulWide
from opsin.kernels.tile import Epilogue
from opsin.kernels.transpose import Transpose
from tests.kernels.support import HOST_TARGETS, guarded, margins_hold, run_interpreted, run_native

BIAS = Epilogue(Expression(2, (Step("add", (0, 1)),), (2,)), ("channel",))


@pytest.mark.parametrize("target", HOST_TARGETS, ids=lambda row: row.name)
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("m", "rows"), [(1, 1), (3, 3), (5, 5), (11, 4), (13, 13)])
@pytest.mark.parametrize(("n", "depth"), [(40, 130), (67, 300), (32, 7)])
def test_products(m: int, rows: int, n: int, depth: int, turned: bool, target: Target) -> None:
    rng = np.random.default_rng(m * n)
    a, b = rng.standard_normal((m, depth), np.float32), rng.standard_normal((depth, n), np.float32)
    bias, y = rng.standard_normal(n, np.float32), guarded((m, n))
    width = 2 * 2 * target.lanes
    spec = MatMulWide(n, rows, width, turned, BIAS)
    right = np.ascontiguousarray(b.T) if turned else b
    blocks = -(-m // rows) * -(-n // width)
    args = [a, right, m, depth, depth, depth if turned else n, bias, y]
    run_native(spec, args, 0, blocks, spec.scratch(), target)
    np.testing.assert_allclose(y, a.astype(np.float64) @ b + bias, atol=1e-4)
    assert margins_hold(y)


def test_a_product_by_its_meaning() -> None:
    rng = np.random.default_rng(0)
    a, b, y = rng.standard_normal((4, 9), np.float32), rng.standard_normal((9, 20), np.float32), guarded((4, 20))
    spec = MatMulWide(20, 4, 32, False)
    run_interpreted(spec, [a, b, 4, 9, 9, 20, y], 0, 1, spec.scratch())
    np.testing.assert_allclose(y, a @ b, atol=1e-5)


@pytest.mark.parametrize("target", HOST_TARGETS, ids=lambda row: row.name)
@pytest.mark.parametrize(("rows", "columns"), [(16, 8), (37, 21), (3, 50), (50, 3)])
def test_turned_copies(rows: int, columns: int, target: Target) -> None:
    x = np.random.default_rng(rows).standard_normal((2, 3, columns, rows), np.float32)
    y = guarded((3, 2, rows, columns))
    # Outer dimensions in the order of y; the second of them runs backwards in x.
    strides_x, strides_y = [columns * rows, -3 * columns * rows], [2 * rows * columns, rows * columns]
    blocks = 6 * -(-rows // Transpose.ROWS)
    begin = np.ascontiguousarray(x[1])  # the place from which both run
    whole = np.concatenate([x[0].ravel(), begin.ravel()])
    args = [whole[3 * columns * rows :], y, 3, 2, *strides_x, *strides_y, rows, columns, rows, columns]
    run_native(Transpose(2), args, 0, blocks, target=target)
    np.testing.assert_array_equal(y, x[::-1].transpose(1, 0, 3, 2))
    assert margins_hold(y)
