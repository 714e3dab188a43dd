"""Winograd's algorithm, forward and weight gradient, fused and non-fused, against direct convolution in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from opsin.kernels import winograd, winograd_weight
from opsin.kernels.expression import Expression, Step
from opsin.kernels.ir import Target
from opsin.kernels.panels import panel_count, round_up
from opsin.kernels.spec import CACHE_LINE
from opsin.kernels.tile import Epilogue
from opsin.kernels.transforms import POINTS, STEP
from opsin.kernels.winograd import (
    Winograd,
    WinogradFilters,
    WinogradOutputs,
    WinogradProducts,
    filters_point,
    padded_tiles,
    register_rows,
)
from opsin.kernels.winograd_weight import Schedule, WinogradParts, WinogradReduction, WinogradTiles, WinogradWeight
from tests.kernels.support import arguments, each_run, guarded, margins_hold

Array = np.ndarray
Run = Callable[..., None]
BIAS_ADD = Epilogue(Expression(3, (Step("add", (0, 1)), Step("add", (3, 2))), (4,)), ("channel", "same"))
SCHEDULE = Schedule(tiles=5, depth=2, max_prefetch_channels=8)
"""Blocks and reductions that are shorter than the cases have tiles."""


@dataclass(frozen=True)
class Case:
    """Images of `size`, with `padding` rows at the top and columns on the left."""

    images: int
    size: tuple[int, int]
    padding: tuple[int, int]
    out: tuple[int, int]
    channels: int
    filters: int

    @property
    def count(self) -> int:
        return self.images * self.tiles[0] * self.tiles[1]

    @property
    def tiles(self) -> tuple[int, int]:
        return -(-self.out[0] // STEP), -(-self.out[1] // STEP)

    @property
    def words(self) -> dict[str, int]:
        (height, width), (out_height, out_width), (top, left) = self.size, self.out, self.padding
        sizes = {"H": height, "W": width, "OH": out_height, "OW": out_width, "top": top, "left": left}
        return {**sizes, "tiles_down": self.tiles[0], "tiles_across": self.tiles[1], "count": self.count}

    def arrays(self) -> tuple[Array, Array, Array]:
        rng = np.random.default_rng(self.channels)
        x = rng.standard_normal((self.images, *self.size, self.channels), np.float32)
        w = rng.standard_normal((3, 3, self.channels, self.filters), np.float32)
        return x, w, rng.standard_normal((self.images, *self.out, self.filters), np.float32)


CASES = [
    Case(1, (5, 6), (1, 1), (5, 6), 3, 17),
    Case(2, (9, 4), (0, 1), (7, 5), 5, 4),
    Case(1, (12, 10), (1, 0), (12, 8), 9, 33),
    Case(3, (3, 3), (2, 2), (5, 5), 1, 1),
]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.channels}-{case.filters}")


def transformed_filters(case: Case, w: Array, run: Run, target: Target) -> Array:
    spec = WinogradFilters(case.channels, case.filters)
    u = guarded((POINTS, filters_point(case.channels, case.filters, target)))
    run(spec, arguments(spec, w=w, u=u), 0, case.channels, 0, target)
    assert margins_hold(u)
    return u


def points(size: int) -> Array:
    return guarded((POINTS, size + CACHE_LINE))


@each_run
@each_case
def test_by_blocks(case: Case, run: Run, target: Target) -> None:
    x, w, g = case.arrays()
    bias, y = g[0, 0, 0], guarded(g.shape)
    spec = Winograd(case.channels, case.filters, 5, 8, BIAS_ADD)
    u = transformed_filters(case, w, run, target)
    args = arguments(spec, bias, g, y, x=x, u=u, **case.words)
    run(spec, args, 0, -(-case.count // spec.tiles), spec.scratch(target), target)
    np.testing.assert_allclose(y, winograd.reference(x, w, case.padding, case.out) + bias + g, atol=1e-3)
    assert margins_hold(y)


@each_run
@each_case
def test_by_points(case: Case, run: Run, target: Target) -> None:
    x, w, g = case.arrays()
    bias, y = g[0, 0, 0], guarded(g.shape)
    rows, panels = padded_tiles(case.count, target), panel_count(case.filters, target)
    v, m = points(rows * case.channels), points(rows * panels * 2 * target.lanes)
    tiles = WinogradTiles(case.channels, False, case.channels, SCHEDULE)
    args = arguments(tiles, source=x, result=v, **case.words, first_tile=0, padded_tiles=rows)
    run(tiles, args, 0, -(-case.count // SCHEDULE.tiles), POINTS * case.channels, target)
    products = WinogradProducts(case.channels, case.filters, register_rows(case.count, target))
    u = transformed_filters(case, w, run, target)
    args = arguments(products, v=v, u=u, m=m, count=case.count, padded_tiles=rows)
    run(products, args, 0, POINTS * panels, 0, target)
    outputs = WinogradOutputs(case.filters, BIAS_ADD)
    args = arguments(outputs, bias, g, y, m=m, **case.words, padded_tiles=rows)
    for begin, end in ((0, 1), (1, case.count)):
        run(outputs, args, begin, end, STEP * STEP * target.lanes, target)
    np.testing.assert_allclose(y, winograd.reference(x, w, case.padding, case.out) + bias + g, atol=1e-3)
    assert margins_hold(v) and margins_hold(m) and margins_hold(y)


def check_weight_gradient(case: Case, du: Array, run: Run, target: Target) -> None:
    """Transform `du` back, and compare it with the reference."""
    x, w, g = case.arrays()
    spec, dw = WinogradWeight(case.channels, case.filters), guarded(w.shape)
    run(spec, arguments(spec, du=du, dw=dw), 0, case.channels, 0, target)
    np.testing.assert_allclose(dw, winograd_weight.reference(x, g, case.padding), atol=1e-3)
    assert margins_hold(dw)


@each_run
@each_case
def test_weight_gradient_in_rounds(case: Case, run: Run, target: Target) -> None:
    """In two rounds of tiles, the second of which is added to the first."""
    x, _, g = case.arrays()
    panel = case.channels
    inputs = WinogradTiles(panel, False, panel, SCHEDULE)
    gradients = WinogradTiles(case.filters, True, 2 * target.lanes, SCHEDULE)
    products = WinogradReduction(panel, case.filters, panel, panel, SCHEDULE)
    du, half = points(case.channels * case.filters), -(-case.count // 2)
    for first, count in ((0, half), (half, case.count - half)):
        if not count:
            continue
        v, z = points(count * panel), points(count * round_up(case.filters, gradients.panel))
        words = {**case.words, "count": count, "first_tile": first, "padded_tiles": count}
        for tiles, source, result in ((inputs, x, v), (gradients, g, z)):
            args = arguments(tiles, source=source, result=result, **words)
            run(tiles, args, 0, -(-count // SCHEDULE.tiles), POINTS * tiles.channels, target)
        args = arguments(products, v=v, z=z, du=du, count=count, accumulate=int(first > 0))
        run(products, args, 0, POINTS, 0, target)
    check_weight_gradient(case, du, run, target)


@each_run
@each_case
def test_weight_gradient_in_parts(case: Case, run: Run, target: Target) -> None:
    x, _, g = case.arrays()
    spec, per = WinogradParts(case.channels, case.filters, SCHEDULE), -(-case.count // 2)
    parts = -(-case.count // per)
    du = guarded((parts, POINTS, case.channels * case.filters + CACHE_LINE))
    args = arguments(spec, x=x, g=g, du=du, **case.words, tiles_per_part=per)
    run(spec, args, 0, parts, spec.scratch(target), target)
    assert margins_hold(du)
    check_weight_gradient(case, du.sum(0), run, target)


@each_run
def test_a_block_of_many_tiles(run: Run, target: Target) -> None:
    """More tiles than one register tile, and channels that are owned by several blocks."""
    case = Case(1, (26, 18), (1, 1), (26, 18), 2, 1)
    x, w, g = case.arrays()
    y, spec = guarded(g.shape), Winograd(2, 1, 24, 48)
    args = arguments(spec, y, x=x, u=transformed_filters(case, w, run, target), **case.words)
    run(spec, args, 0, -(-case.count // 24), spec.scratch(target), target)
    np.testing.assert_allclose(y, winograd.reference(x, w, case.padding, case.out), atol=1e-3)
