"""Matrix products: from any strides of the left operand, and with a large right operand, packed or in place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from opsin.kernels.expression import Expression, Step
from opsin.kernels.ir import Target
from opsin.kernels.matmul import MatMul
from opsin.kernels.matmul_wide import MatMulWide
from opsin.kernels.tile import Epilogue
from tests.kernels.support import arguments, each_run, guarded, margins_hold, with_slack

Run = Callable[..., None]
BIAS = Epilogue(Expression(2, (Step("add", (0, 1)),), (2,)), ("channel",))
SCALED_SUM = Epilogue(Expression(3, (Step("multiply", (0, 1)), Step("add", (3, 2))), (3, 4)), ("scalar", "same"))


def operands(m: int, n: int, depth: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(m * n)
    return rng.standard_normal((m, depth), np.float32), rng.standard_normal((depth, n), np.float32)


@each_run
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("m", "n", "depth", "rows"), [(1, 1, 1, 1), (13, 7, 5, 4), (9, 21, 3, 9), (20, 40, 2, 17)])
def test_products(m: int, n: int, depth: int, rows: int, transposed: bool, run: Run, target: Target) -> None:
    """The left operand is row-major, or column-major: then its rows are adjacent."""
    a, b = operands(m, n, depth)
    factor, other = np.array([1.5], np.float32), np.ones((m, n), np.float32)
    scaled, total = guarded((m, n)), guarded((m, n))
    spec = MatMul(n, rows, None if transposed else depth, SCALED_SUM)
    left, step = (np.ascontiguousarray(a.T), m) if transposed else (a, 1)
    args = arguments(spec, factor, other, scaled, total, a=left, b=with_slack(b), m=m, k=depth, a_step=step, b_row=n)
    blocks = -(-m // rows)
    for begin, end in ((1, blocks), (0, 1)):
        run(spec, args, begin, end, target=target)
    np.testing.assert_allclose(scaled, a.astype(np.float64) @ b * 1.5, atol=1e-4)
    np.testing.assert_allclose(total, a.astype(np.float64) @ b * 1.5 + 1, atol=1e-4)
    assert margins_hold(scaled) and margins_hold(total)


@each_run
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(
    ("m", "n", "depth", "rows"), [(1, 67, 7, 1), (3, 67, 7, 3), (11, 67, 7, 4), (1, 40, 130, 1), (3, 40, 130, 3)]
)
def test_wide_products(m: int, n: int, depth: int, rows: int, transposed: bool, run: Run, target: Target) -> None:
    a, b = operands(m, n, depth)
    bias, y = b[0], guarded((m, n))
    width = 2 * 2 * target.lanes
    spec = MatMulWide(n, rows, width, transposed, transposed or rows > 3, depth=128, unroll=8, epilogue=BIAS)
    right = np.ascontiguousarray(b.T) if transposed else b
    args = arguments(spec, bias, y, a=a, b=right, m=m, k=depth, a_row=depth, b_step=depth if transposed else n)
    run(spec, args, 0, -(-m // rows) * -(-n // width), spec.scratch(), target)
    np.testing.assert_allclose(y, a.astype(np.float64) @ b + bias, atol=1e-4)
    assert margins_hold(y)
