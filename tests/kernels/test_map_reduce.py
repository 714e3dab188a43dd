"""Sums and variances by channel, with and without what is computed on the way."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.kernels.expression import Expression, Step
from opsin.kernels.ir import Target
from opsin.kernels.map_reduce import MapReduceByChannel
from opsin.kernels.moments import GROUP, MergeMoments, Moments
from opsin.kernels.spec import KernelSpec
from tests.kernels.support import AVX512, HOST_TARGETS, guarded, margins_hold, run_interpreted, run_native

SIZES = [(1, 1, 1), (7, 3, 2), (33, 16, 3), (100, 19, 4), (64, 40, 1)]
"""(pixels, channels, blocks)"""


def run(spec: KernelSpec, args: list[np.ndarray | int], blocks: int, scratch: int, target: Target | None) -> None:
    if target is None:
        run_interpreted(spec, args, 0, blocks, scratch)
    else:
        run_native(spec, args, 0, blocks, scratch, target)


@pytest.mark.parametrize("target", [None, *HOST_TARGETS], ids=lambda row: row.name if row else "meaning")
@pytest.mark.parametrize(("pixels", "channels", "blocks"), SIZES)
def test_a_sweep_stores_and_sums(pixels: int, channels: int, blocks: int, target: Target | None) -> None:
    """(x - mean) · factor is stored; it and its product with g are summed."""
    rng = np.random.default_rng(pixels)
    x, g = (rng.standard_normal((pixels, channels), np.float32) for _ in range(2))
    mean, factor = rng.standard_normal(channels, np.float32), np.array([1.5], np.float32)
    steps = (Step("subtract", (0, 1)), Step("multiply", (4, 2)), Step("multiply", (5, 3)))
    spec = MapReduceByChannel(Expression(4, steps, (5, 5, 6)), ("same", "channel", "scalar", "same"), 1, channels)
    block = -(-pixels // blocks)
    parts = -(-pixels // block)
    y, first, second = guarded(x.shape), guarded((parts, channels)), guarded((parts, channels))
    run(spec, [x, mean, factor, g, y, first, second, pixels, block], parts, 0, target)
    wanted = (x - mean) * factor[0]
    np.testing.assert_allclose(y, wanted, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(first.sum(0), wanted.sum(0, np.float64), atol=1e-4)
    np.testing.assert_allclose(second.sum(0), (wanted * g).sum(0, np.float64), atol=1e-4)
    assert all(map(margins_hold, (y, first, second)))


@pytest.mark.parametrize("target", [None, *HOST_TARGETS], ids=lambda row: row.name if row else "meaning")
@pytest.mark.parametrize(("pixels", "channels", "blocks"), [*SIZES, (3 * GROUP + 5, 9, 2)])
@pytest.mark.parametrize("offset", [0.0, 3000.0])
def test_moments(pixels: int, channels: int, blocks: int, offset: float, target: Target | None) -> None:
    rng = np.random.default_rng(pixels)
    x = (rng.standard_normal((pixels, channels)) + offset).astype(np.float32)
    block = -(-pixels // blocks)
    parts = -(-pixels // block)
    partial, sums, variances = guarded((parts, 2, channels)), guarded((channels,)), guarded((channels,))
    run(Moments(channels), [x, partial, pixels, block], parts, 2 * channels, target)
    run(MergeMoments(channels), [partial, sums, variances, pixels, block], 1, 2 * channels, target)
    np.testing.assert_allclose(sums, x.sum(0, np.float64), rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(variances, x.astype(np.float64).var(0), rtol=1e-3, atol=1e-6)
    assert all(map(margins_hold, (partial, sums, variances)))


def test_moments_on_the_widest_row() -> None:
    spec = Moments(19)
    x = np.random.default_rng(0).standard_normal((50, 19), np.float32)
    partial = guarded((1, 2, 19))
    run_interpreted(spec, [x, partial, 50, 50], 0, 1, 38, AVX512)
    np.testing.assert_allclose(partial[0, 0], x.mean(0), atol=1e-6)
