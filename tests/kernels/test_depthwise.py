"""Depthwise convolution against plain NumPy, by the language's definition and as machine code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from opsin.kernels.depthwise import Depthwise
from opsin.kernels.depthwise_weight import DepthwiseWeight
from opsin.kernels.expression import Expression, Step
from opsin.kernels.ir import Target
from opsin.kernels.taps import Axis
from opsin.kernels.tile import Epilogue
from tests.kernels.support import AVX512, HOST_TARGETS, guarded, margins_hold, run_interpreted, run_native

Run = Callable[..., None]
BIAS = Epilogue(Expression(2, (Step("add", (0, 1)), Step("relu", (2,))), (3,)), ("channel",))


@dataclass(frozen=True)
class Case:
    """`size` places under windows that take `out` places: rows and columns."""

    channels: int
    size: tuple[int, int]
    out: tuple[int, int]
    axes: tuple[Axis, Axis]

    @property
    def kernel(self) -> tuple[int, int]:
        return self.axes[0].taps, self.axes[1].taps

    @property
    def transposed(self) -> tuple[Axis, Axis]:
        rows, columns = (Axis(a.taps, a.stride, a.dilation, a.before, transposed=True) for a in self.axes)
        return rows, columns

    def array(self, *shape: int) -> np.ndarray:
        return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)

    def matrices(self) -> tuple[np.ndarray, np.ndarray]:
        """For rows and for columns: taps × out × size, 1 where a tap of a window reads a place."""
        made = []
        for axis, size, out in zip(self.axes, self.size, self.out, strict=True):
            matrix = np.zeros((axis.taps, out, size))
            for tap in range(axis.taps):
                for window in range(out):
                    place = window * axis.stride + tap * axis.dilation - axis.before
                    if 0 <= place < size:
                        matrix[tap, window, place] = 1
            made.append(matrix)
        return made[0], made[1]


CASES = [
    Case(19, (5, 6), (5, 6), (Axis(3, 1, 1, 1), Axis(3, 1, 1, 1))),
    Case(8, (9, 4), (5, 3), (Axis(3, 2, 1, 1), Axis(2, 2, 1, 1))),
    Case(3, (7, 9), (5, 2), (Axis(2, 1, 2, 0), Axis(3, 3, 2, 1))),
    Case(33, (3, 5), (6, 3), (Axis(4, 1, 1, 3), Axis(3, 1, 1, 0))),
]


def check(case: Case, run: Run, target: Target) -> None:
    (height, width), (rows, columns), images = case.size, case.out, 2
    x, g = case.array(images, *case.size, case.channels), case.array(images, *case.out, case.channels)
    w, b = case.array(*case.kernel, case.channels), case.array(case.channels)
    down, across = case.matrices()

    y, blocks = guarded(g.shape), images * columns
    spec = Depthwise(case.channels, height, rows, *case.axes, BIAS)
    for begin, end in ((0, 1), (1, blocks - 1), (blocks - 1, blocks)):
        run(spec, [x, w, width, columns, b, y], begin, end, target=target)
    wanted = np.einsum("rih,sjw,nhwc,rsc->nijc", down, across, x, w) + b
    np.testing.assert_allclose(y, np.maximum(wanted, 0), atol=1e-5)

    dx = guarded(x.shape)
    transposed = Depthwise(case.channels, rows, height, *case.transposed)
    run(transposed, [g, w, columns, width, dx], 0, images * width, target=target)
    np.testing.assert_allclose(dx, np.einsum("rih,sjw,nijc,rsc->nhwc", down, across, g, w), atol=1e-5)

    partial = guarded((images, *w.shape))
    weight = DepthwiseWeight(case.channels, height, rows, *case.axes)
    run(weight, [x, g, partial, images, width, columns, 1], 0, images, target=target)
    np.testing.assert_allclose(partial, np.einsum("rih,sjw,nhwc,nijc->nrsc", down, across, x, g), atol=1e-4)
    assert margins_hold(y)
    assert margins_hold(dx)
    assert margins_hold(partial)


@pytest.mark.parametrize("target", [AVX512, HOST_TARGETS[-1]], ids=lambda t: t.name)
@pytest.mark.parametrize("number", range(len(CASES)))
def test_by_the_definition(number: int, target: Target) -> None:
    check(CASES[number], run_interpreted, target)


@pytest.mark.parametrize("target", HOST_TARGETS, ids=lambda t: t.name)
@pytest.mark.parametrize("number", range(len(CASES)))
def test_as_machine_code(number: int, target: Target) -> None:
    check(CASES[number], run_native, target)


def test_tiles_that_read_alike_are_built_once() -> None:
    """The first and the last tile reach over the border, all others are one run."""
    first, inside, last = Axis(3, 1, 1, 1).runs(112, 112, 4)
    assert (first.tiles, inside.tiles, last.tiles) == (1, 26, 1)
    assert (inside.first, inside.base, inside.step, inside.positions) == (4, 4, 4, [-1, 0, 1, 2, 3, 4])
    assert [run.tiles for run in Axis(3, 2, 1, 1, transposed=True).runs(56, 112, 4)] == [27, 1]
