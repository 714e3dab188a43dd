"""Rows of tables by number, and sums of rows by number, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.kernels.expression import Expression, Step
from opsin.kernels.gather import Gather, ScatterAdd
from opsin.kernels.ir import Target
from opsin.kernels.tile import Epilogue
from tests.kernels.support import each_run, guarded, margins_hold


def case(seed: int, features: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a table of 11 rows, indices of which some are outside, and a row of numbers for each index."""
    rng = np.random.default_rng(seed)
    indices = rng.integers(-2, 14, int(rng.integers(1, 60))).astype(np.int32)
    table = rng.standard_normal((11, features)).astype(np.float32)
    return table, indices, rng.standard_normal((len(indices), features)).astype(np.float32)


@each_run
@pytest.mark.parametrize("features", [1, 5, 16, 37])
def test_rows_by_number(features: int, run: object, target: Target) -> None:
    table, indices, _ = case(features, features)
    y = guarded((len(indices), features))
    run(Gather(features), [table, indices, y, len(indices), 11, 7], 0, -(-len(indices) // 7), target=target)  # type: ignore[operator]
    is_inside = (indices >= 0) & (indices < 11)
    np.testing.assert_array_equal(y, np.where(is_inside[:, None], table[indices * is_inside], 0))
    assert margins_hold(y)


@each_run
@pytest.mark.parametrize("features", [1, 5, 16, 37])
def test_sums_of_rows_by_number(features: int, run: object, target: Target) -> None:
    """The update w - ½ Σ g, with the additions in the order of the indices."""
    table, indices, g = case(features, features)
    update = Expression(2, (Step("constant", (0,), 0.5), Step("multiply", (0, 2)), Step("subtract", (1, 3))), (4,))
    y = guarded((11, features))
    sums = np.zeros((11, features), np.float32)
    for index, row in zip(indices, g, strict=True):
        if 0 <= index < 11:
            sums[index] += row
    args = [indices, g, len(indices), 11, 4, table, y]
    run(ScatterAdd(features, Epilogue(update, ("same",))), args, 0, 3, 4 * features, target=target)  # type: ignore[operator]
    np.testing.assert_array_equal(y, table - np.float32(0.5) * sums)
    assert margins_hold(y)
