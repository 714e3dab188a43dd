"""The loops that all kernels share."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.kernels.ir import I32, Builder, Loop, Value
from opsin.kernels.spec import loop_or_unroll, vector_loop
from tests.kernels.ir.support import ALL_TARGETS, agree
from tests.kernels.support import HOST_TARGETS, guarded, margins_hold


@pytest.mark.parametrize("count", [1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 35])
def test_vector_loop_covers_each_channel_once(count: int) -> None:
    for target in ALL_TARGETS:
        k = Builder("channels")
        x, y = k.buffer("x"), k.buffer("y")
        counts: list[int] = []

        for first, part in vector_loop(k, count, target.lanes):
            counts.append(part)
            value = k.load(x, first, target.lanes, part) + k.load(y, first, target.lanes, part)
            k.store(y, first, value, part)
        numbers = np.arange(count, dtype=np.float32)
        _, actual = agree(k.kernel(), [numbers, np.ones(count, np.float32)], target)
        np.testing.assert_array_equal(actual, numbers + 1)
        whole, rest = divmod(count, target.lanes)
        assert counts == [target.lanes] * (whole > 0) + [rest] * (rest > 0)
        assert any(isinstance(item, Loop) for item in k.kernel().body) == (whole > 1)


def test_numbers_are_unrolled_and_values_are_looped_over() -> None:
    k = Builder("loop")
    y, n = k.buffer("y", I32), k.index("n")
    numbers: list[object] = []
    for i in loop_or_unroll(k, 2, 5):
        numbers.append(i)
        k.store(y, i, k.convert("i32", n + i))
    for i in loop_or_unroll(k, 5, n):
        assert isinstance(i, Value)
        numbers.append(Value)
        k.store(y, i, k.convert("i32", i * 10))
    k.store(y, 0, k.convert("i32", n))
    assert numbers == [2, 3, 4, Value]
    (actual,) = agree(k.kernel(), [np.zeros(9, np.int32), 8], HOST_TARGETS[0])
    assert actual.tolist() == [8, 0, 10, 11, 12, 50, 60, 70, 0]


def test_the_margins_detect_writes_outside() -> None:
    y = guarded((3, 5))
    assert margins_hold(y)
    assert y.base is not None
    y.base[-1] = 0
    assert not margins_hold(y)
