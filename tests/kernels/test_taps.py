"""Which positions the taps of a window read."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.kernels.ir import I32, Builder, interpret
from opsin.kernels.taps import Axis

AXES = [
    Axis(taps, stride, dilation, before, transposed)
    for taps, stride, dilation, before in [(1, 1, 1, 0), (3, 1, 1, 1), (3, 2, 1, 1), (2, 3, 2, 0), (4, 2, 3, 2)]
    for transposed in (False, True)
]
each_axis = pytest.mark.parametrize("axis", AXES, ids=str)


@each_axis
def test_a_transposed_axis_reads_what_the_other_one_is_read_by(axis: Axis) -> None:
    size, results = 7, 6
    other = Axis(axis.taps, axis.stride, axis.dilation, axis.before, not axis.transposed)
    reads = {(i, tap, at) for i in range(results) for tap, at in axis.reads(i, size)}
    assert reads == {(i, tap, at) for at in range(size) for tap, i in other.reads(at, results)}
    assert reads


@each_axis
@pytest.mark.parametrize("tile", [1, 3, 4])
def test_runs_cover_each_read_once(axis: Axis, tile: int) -> None:
    size, results = 9, 8
    reads = []
    for run in axis.runs(size, results, tile):
        for number in range(run.tiles):
            first, base = run.first + number * run.size, run.base + number * run.step
            reads += [(first + result, tap, base + position) for result, tap, position in run.reads]
    assert sorted(reads) == [(i, tap, at) for i in range(results) for tap, at in axis.reads(i, size)]


@each_axis
def test_taps_at_run_time(axis: Axis) -> None:
    size, results = 7, 6
    k = Builder("taps")
    y, n = k.buffer("y", I32), k.index("n")
    with k.loop(0, results) as result:
        for tap, position in axis.taps_inside(k, result, n).loop(k):
            k.store(y, result * axis.taps + tap, k.convert("i32", position))
    actual = np.full((results, axis.taps), -1, np.int32)
    interpret(k.kernel(), [actual, size], 0, 1)
    expected = np.full_like(actual, -1)
    for i in range(results):
        for number, at in axis.reads(i, size):
            expected[i, number] = at
    np.testing.assert_array_equal(actual, expected)


def test_adjacent_tiles_that_read_alike_are_one_run() -> None:
    """The first and the last tile cross the border; all others are one run."""
    first, inside, last = Axis(3, 1, 1, 1).runs(112, 112, 4)
    assert (first.tiles, inside.tiles, last.tiles) == (1, 26, 1)
    assert (inside.first, inside.base, inside.step, inside.positions) == (4, 4, 4, [-1, 0, 1, 2, 3, 4])
    assert [run.tiles for run in Axis(3, 2, 1, 1, transposed=True).runs(56, 112, 4)] == [27, 1]
