"""Depthwise convolution against its reference in NumPy, forward and both gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from opsin.kernels import depthwise, depthwise_weight
from opsin.kernels.depthwise import Depthwise, Schedule
from opsin.kernels.depthwise_weight import DepthwiseWeight
from opsin.kernels.expression import Expression, Step
from opsin.kernels.ir import TARGETS, Target
from opsin.kernels.taps import Axis
from opsin.kernels.tile import Epilogue
from tests.kernels.support import HOST_TARGETS, arguments, each_run, guarded, margins_hold, run_native

Run = Callable[..., None]
BIAS_RELU = Epilogue(Expression(2, (Step("add", (0, 1)), Step("relu", (2,))), (3,)), ("channel",))


@dataclass(frozen=True)
class Case:
    """Images of `size` under windows that have `out` positions, by rows and columns."""

    channels: int
    size: tuple[int, int]
    out: tuple[int, int]
    axes: tuple[Axis, Axis]
    channel_block: int | None = None

    @property
    def kernel(self) -> tuple[int, int]:
        return self.axes[0].taps, self.axes[1].taps

    @property
    def transposed(self) -> tuple[Axis, Axis]:
        return replace(self.axes[0], transposed=True), replace(self.axes[1], transposed=True)

    def array(self, *shape: int) -> np.ndarray:
        return np.random.default_rng(sum(shape)).standard_normal((*shape, self.channels)).astype(np.float32)


CASES = [
    Case(19, (5, 6), (5, 6), (Axis(3, 1, 1, 1), Axis(3, 1, 1, 1))),
    Case(8, (9, 4), (5, 3), (Axis(3, 2, 1, 1), Axis(2, 2, 1, 1))),
    Case(3, (7, 9), (5, 2), (Axis(2, 1, 2, 0), Axis(3, 3, 2, 1))),
    Case(33, (3, 5), (6, 3), (Axis(4, 1, 1, 3), Axis(3, 1, 1, 0))),
]
BLOCKED = Case(515, (5, 4), (5, 4), (Axis(3, 1, 1, 1), Axis(3, 1, 1, 1)), channel_block=128)
"""Channels that are computed in several blocks."""


def check(case: Case, run: Run, target: Target) -> None:
    (height, width), (rows, columns), images = case.size, case.out, 2
    x, g, w, b = case.array(images, *case.size), case.array(images, *case.out), case.array(*case.kernel), case.array()

    y, blocks = guarded(g.shape), images * columns
    spec = Depthwise(case.channels, height, rows, *case.axes, case.channel_block, BIAS_RELU)
    for begin, end in ((0, 1), (1, blocks - 1), (blocks - 1, blocks)):
        run(spec, arguments(spec, b, y, x=x, w=w, W=width, OW=columns), begin, end, target=target)
    expected = depthwise.reference(x, w, *case.axes, case.out)
    np.testing.assert_allclose(y, np.maximum(expected + b, 0), atol=1e-5)

    dx, spec = guarded(x.shape), Depthwise(case.channels, rows, height, *case.transposed, case.channel_block)
    run(spec, arguments(spec, dx, x=g, w=w, W=columns, OW=width), 0, images * width, target=target)
    np.testing.assert_allclose(dx, depthwise.reference(g, w, *case.transposed, case.size), atol=1e-5)

    partial = guarded((images, *w.shape))
    weight = DepthwiseWeight(case.channels, height, rows, *case.axes, case.channel_block)
    args = arguments(weight, x=x, g=g, partial=partial, N=images, W=width, OW=columns, images=1)
    run(weight, args, 0, images, target=target)
    for image in range(images):
        one = slice(image, image + 1)
        dw = depthwise_weight.reference(x[one], g[one], *case.axes)
        np.testing.assert_allclose(partial[image], dw, atol=1e-4)
    assert margins_hold(y)
    assert margins_hold(dx)
    assert margins_hold(partial)


@each_run
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.channels))
def test_forward_and_gradients(case: Case, run: Run, target: Target) -> None:
    check(case, run, target)


@pytest.mark.parametrize("target", HOST_TARGETS, ids=lambda row: row.name)
def test_blocks_of_channels(target: Target) -> None:
    check(BLOCKED, run_native, target)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.channels))
def test_the_references_by_matrices(case: Case) -> None:
    """The matrices, taps × results × positions, are 1 where a tap of a result reads a position."""
    matrices = []
    for axis, size, out in zip(case.axes, case.size, case.out, strict=True):
        tap, result, position = np.ogrid[: axis.taps, :out, :size]
        matrices.append((result * axis.stride + tap * axis.dilation - axis.before == position).astype(float))
    down, across = matrices
    x, g, w = case.array(2, *case.size), case.array(2, *case.out), case.array(*case.kernel)
    y = np.einsum("rih,sjw,nhwc,rsc->nijc", down, across, x, w)
    np.testing.assert_allclose(depthwise.reference(x, w, *case.axes, case.out), y, atol=1e-5)
    dx = np.einsum("rih,sjw,nijc,rsc->nhwc", down, across, g, w)
    np.testing.assert_allclose(depthwise.reference(g, w, *case.transposed, case.size), dx, atol=1e-5)
    dw = np.einsum("rih,sjw,nhwc,nijc->rsc", down, across, x, g)
    np.testing.assert_allclose(depthwise_weight.reference(x, g, *case.axes), dw, atol=1e-5)


@pytest.mark.parametrize("target", TARGETS, ids=lambda row: row.name)
def test_the_schedule_of_a_weight_gradient_fits_the_registers(target: Target) -> None:
    small, large = (DepthwiseWeight(8, 9, 9, Axis(n, 1, 1, 0), Axis(3, 1, 1, 0), None) for n in (3, 40))
    assert small.schedule(target) == Schedule()
    assert large.schedule(target) == Schedule(vectors=1)
