"""Loops that all kernels share."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.kernels.ir import I32, Builder, Loop, Value
from opsin.kernels.spec import loop_or_unroll, vector_loop
from tests.kernels.ir.support import ROWS, agree
from tests.kernels.support import HOST_TARGETS, guarded, margins_hold


@pytest.mark.parametrize("count", [1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 35])
def test_vector_loop_covers_each_channel_once(count: int) -> None:
    for target in ROWS:
        k = Builder("channels")
        x, y = k.buffer("x"), k.buffer("y")
        parts: list[int] = []

        for first, part in vector_loop(k, count, target.lanes):
            parts.append(part)
            value = k.load(x, first, target.lanes, part) + k.load(y, first, target.lanes, part)
            k.store(y, first, value, part)
        numbers = np.arange(count, dtype=np.float32)
        _, found = agree(k.kernel(), [numbers, np.ones(count, np.float32)], target)
        np.testing.assert_array_equal(found, numbers + 1)
        whole, rest = divmod(count, target.lanes)
        assert parts == [target.lanes] * (whole > 0) + [rest] * (rest > 0)
        assert any(isinstance(item, Loop) for item in k.kernel().body) == (whole > 1)


def test_each_unrolls_numbers_and_loops_over_values() -> None:
    k = Builder("each")
    y, n = k.buffer("y", I32), k.index("n")
    seen: list[object] = []
    for i in loop_or_unroll(k, 2, 5):
        seen.append(i)
        k.store(y, i, k.convert("i32", n + i))
    for i in loop_or_unroll(k, 5, n):
        assert isinstance(i, Value)
        seen.append(Value)
        k.store(y, i, k.convert("i32", i * 10))
    k.store(y, 0, k.convert("i32", n))
    assert seen == [2, 3, 4, Value]
    (found,) = agree(k.kernel(), [np.zeros(9, np.int32), 8], HOST_TARGETS[0])
    assert found.tolist() == [8, 0, 10, 11, 12, 50, 60, 70, 0]


def test_the_margins_tell_of_writes_outside() -> None:
    y = guarded((3, 5))
    assert margins_hold(y)
    assert y.base is not None
    y.base[-1] = 0
    assert not margins_hold(y)
