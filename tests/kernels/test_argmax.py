"""The index of the maximum, against np.argmax."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.kernels.argmax import ArgMax
from opsin.kernels.ir import Target
from tests.kernels.support import each_run, guarded, margins_hold, run_native


def numbers(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return few different numbers, hence many ties, and some that are not finite."""
    x = rng.integers(-2, 3, shape).astype(np.float32)
    x[rng.random(shape) < 0.1] = rng.choice([np.nan, np.inf, -np.inf])
    return x


@each_run
@pytest.mark.parametrize("seed", range(30))
def test_any_axis_of_any_array(seed: int, run: object, target: Target) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 8, 3))
    x = numbers(rng, shape)
    outer, length, inner = shape
    y = guarded((outer, inner), np.int32)
    count, block = outer * inner, int(rng.integers(1, 9))
    args = [x, y, count, length, block, inner, length * inner, 1, inner]
    run(ArgMax(), args, 0, -(-count // block), target=target)  # type: ignore[operator]
    np.testing.assert_array_equal(y, x.argmax(1))
    assert margins_hold(y)


def test_a_view_with_strides() -> None:
    """Every second row of a transposed array, its last axis first."""
    x = numbers(np.random.default_rng(3), (9, 7))
    view = x.T[::2]  # 4 × 9, strides 2 and 7
    y = guarded((4,), np.int32)
    run_native(ArgMax(), [x, y, 4, 9, 4, 1, 2, 0, 7], 0, 1)
    np.testing.assert_array_equal(y, view.argmax(1))


def test_blocks_write_their_own_results() -> None:
    x = np.arange(20, dtype=np.float32).reshape(10, 2)
    y = guarded((10,), np.int32)
    run_native(ArgMax(), [x, y, 10, 2, 4, 1, 2, 0, 1], 1, 2)
    assert y.tolist() == [77] * 4 + [1] * 4 + [77] * 2
    run_native(ArgMax(), [x, y, 10, 2, 4, 1, 2, 0, 1], 2, 3)
    assert y.tolist() == [77] * 4 + [1] * 6


@pytest.mark.parametrize(
    ("line", "winner"),
    [
        ([3, 3, 3], 0),
        ([-np.inf, -np.inf], 0),
        ([1, np.nan, np.nan, np.inf], 1),
        ([np.nan, 5], 0),
        ([-0.0, 0.0], 0),
        ([0, 1, np.inf, np.inf], 2),
        ([4], 0),
    ],
)
def test_ties_and_nans(line: list[float], winner: int) -> None:
    x, y = np.array(line, np.float32), guarded((1,), np.int32)
    run_native(ArgMax(), [x, y, 1, len(line), 1, 1, len(line), 0, 1], 0, 1)
    assert y[0] == winner == x.argmax()
