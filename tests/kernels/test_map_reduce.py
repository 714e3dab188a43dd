"""Sums and variances by channel, of arrays and of the results of an expression."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from opsin.kernels.expression import Expression, Step
from opsin.kernels.ir import Target
from opsin.kernels.map_reduce import PIXEL_UNROLL, MapReduceByChannel
from opsin.kernels.moments import GROUP_PIXELS, MergeMoments, Moments, reference
from tests.kernels.support import arguments, each_run, guarded, margins_hold

Run = Callable[..., None]
SIZES = [(1, 1, 1), (7, 3, 2), (33, 16, 3), (100, 19, 4), (64, 40, 1)]
"""(pixels, channels, blocks)"""
SUM_OF_ONE = Expression(1, (), (0,))


@each_run
@pytest.mark.parametrize(("pixels", "channels", "blocks"), SIZES)
@pytest.mark.parametrize("segment", [None, PIXEL_UNROLL, 6 * PIXEL_UNROLL])
def test_results_are_stored_and_summed(
    pixels: int, channels: int, blocks: int, segment: int | None, run: Run, target: Target
) -> None:
    """(x - mean) · factor is stored; it and its product with g are summed."""
    rng = np.random.default_rng(pixels)
    x, g = (rng.standard_normal((pixels, channels), np.float32) for _ in range(2))
    mean, factor = rng.standard_normal(channels, np.float32), np.array([1.5], np.float32)
    steps = (Step("subtract", (0, 1)), Step("multiply", (4, 2)), Step("multiply", (5, 3)))
    expression, kinds = Expression(4, steps, (5, 5, 6)), ("same", "channel", "scalar", "same")
    spec = MapReduceByChannel(expression, kinds, 1, channels, segment is not None)
    block = -(-pixels // blocks)
    parts = -(-pixels // block)
    y, first, second = guarded(x.shape), guarded((parts, channels)), guarded((parts, channels))
    sums = [first, second]
    words = {"pixels": pixels, "segment": [] if segment is None else [segment], "block": block}
    args = arguments(spec, operands=[x, mean, factor, g], results=[y], sums=sums, **words)
    run(spec, args, 0, parts, 0 if segment is None else 4 * channels, target)
    expected = (x - mean) * factor[0]
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(first.sum(0), expected.sum(0, np.float64), atol=1e-4)
    np.testing.assert_allclose(second.sum(0), (expected * g).sum(0, np.float64), atol=1e-4)
    assert all(map(margins_hold, (y, first, second)))


@each_run
def test_segments_that_are_rounded_away_are_corrected(run: Run, target: Target) -> None:
    """Each segment adds 4 to a total of 2²⁶, whose neighbour is 2²⁶ + 8; the pixel that remains adds 8."""
    pixels, channels = 6 * PIXEL_UNROLL + 1, 19
    x = np.ones((pixels, channels), np.float32)
    x[0], x[1:PIXEL_UNROLL], x[PIXEL_UNROLL : 2 * PIXEL_UNROLL], x[-1] = 2**26, 0, 0, 8
    spec, sums = MapReduceByChannel(SUM_OF_ONE, ("same",), 0, channels, True), guarded((1, channels))
    words = {"pixels": pixels, "segment": [PIXEL_UNROLL], "block": pixels}
    args = arguments(spec, operands=[x], results=[], sums=[sums], **words)
    run(spec, args, 0, 1, 2 * channels, target)
    np.testing.assert_array_equal(sums, np.full_like(sums, 2**26 + 4 * PIXEL_UNROLL + 8))


@each_run
@pytest.mark.parametrize(("pixels", "channels", "blocks"), [*SIZES, (3 * GROUP_PIXELS + 5, 9, 2)])
@pytest.mark.parametrize("offset", [0.0, 3000.0])
def test_moments(pixels: int, channels: int, blocks: int, offset: float, run: Run, target: Target) -> None:
    rng = np.random.default_rng(pixels)
    x = (rng.standard_normal((pixels, channels)) + offset).astype(np.float32)
    block = -(-pixels // blocks)
    parts = -(-pixels // block)
    partial, sums, variances = guarded((parts, 2, channels)), guarded((channels,)), guarded((channels,))
    run(Moments(channels), [x, partial, pixels, block], 0, parts, 2 * channels, target)
    run(MergeMoments(channels), [partial, sums, variances, pixels, block], 0, 1, 2 * channels, target)
    expected_sums, expected_variances = reference(x.astype(np.float64))
    np.testing.assert_allclose(sums, expected_sums, rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(variances, expected_variances, rtol=1e-3, atol=1e-6)
    assert all(map(margins_hold, (partial, sums, variances)))
