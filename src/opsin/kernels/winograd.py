"""Winograd's minimal filtering F(4×4, 3×3): a 3×3 convolution with a quarter of the multiplications.

A. Lavin & S. Gray, "Fast Algorithms for Convolutional Neural Networks" (2016): a tile of 4×4 outputs needs 6×6 inputs;
Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A, and ⊙, summed over channels, is 36 small matrix products. Because the transforms have
factors up to 8, the rounding error is a few times that of direct summation.

`Winograd` computes all steps for one block of tiles before the next: a block's transformed inputs and sums stay in
cache. For few tiles there are separate kernels for the inputs (`WinogradTiles`), the products and the outputs.

On two cores of an AMD EPYC (Zen 3, AVX2), the 36 products of a 16-channel layer run at 79% of the MAC peak.
Layers with 16 to 128 channels reach 1.9 to 3.1 times that peak forward, counted in MACs of direct convolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from opsin.kernels.conv import windows
from opsin.kernels.ir import Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.panels import panel_count, round_up
from opsin.kernels.spec import CACHE_LINE, KernelSpec, Signature, vector_loop
from opsin.kernels.tile import PLAIN, ColumnRange, Epilogue, Tile, max_panel_rows
from opsin.kernels.tiling import TILING_WORDS, Tiling
from opsin.kernels.transforms import POINTS, SIDE, both_axes, filter_row
from opsin.kernels.winograd_tile import OutputTransform, TileTransform


def reference(x: np.ndarray, w: np.ndarray, padding: tuple[int, int], out_size: tuple[int, int]) -> np.ndarray:
    """Convolve `x` (N × H × W × C) with `w` (3 × 3 × C × K), `padding` before the first row and column: N × OH × OW ×
    K."""
    y: np.ndarray = np.einsum("nyxcrs,rsck->nyxk", windows(x, (3, 3), (1, 1), (1, 1), padding, out_size), w)
    return y


@dataclass(frozen=True)
class Schedule:
    """The order of the computation, which affects its speed and not its results.

    Block: `tiles` tiles are transformed, multiplied and transformed back before the next. Order: all 36 points of a
    block, one panel of two vectors of filters after another. Tile: `rows` rows of a panel in registers. Prefetch: tiles
    of up to `max_prefetch_channels` channels; larger ones are computed more slowly than memory delivers them.
    """

    tiles: int
    rows: int
    panels: int
    max_prefetch_channels: int

    @staticmethod
    def choose(tiles: int, filters: int, max_prefetch_channels: int, target: Target) -> Schedule:
        """Return the schedule for blocks of `tiles` tiles and `filters` filters."""
        return Schedule(tiles, register_rows(tiles, target), panel_count(filters, target), max_prefetch_channels)

    @property
    def padded_tiles(self) -> int:
        """The tiles of a block, rounded up to whole register tiles."""
        return round_up(self.tiles, self.rows)


def register_rows(tiles: int, target: Target) -> int:
    """Return the rows of the register tile for `tiles` tiles: at most what the registers hold, and as even as
    possible."""
    return -(-tiles // -(-tiles // max_panel_rows(target)))


def padded_tiles(tiles: int, target: Target) -> int:
    """Return `tiles`, rounded up to whole register tiles."""
    return round_up(tiles, register_rows(tiles, target))


def filters_point(channels: int, filters: int, target: Target) -> int:
    """Return the elements from one point of the transformed weights to the next."""
    return panel_count(filters, target) * channels * 2 * target.lanes + CACHE_LINE


@dataclass(frozen=True)
class WinogradFilters(KernelSpec):
    """u = G w Gᵀ for every pair of channels.

    `w` is 3 × 3 × C × K. `u` is 36 × (panels × C × two vectors), the points `filters_point` elements apart. A block is
    one input channel.
    """

    signature: ClassVar[Signature] = Signature(("w", "u"))

    channels: int
    filters: int

    def build(self, target: Target) -> Kernel:
        k = Builder("winograd_filters")
        (w, u), _ = self.bind(k)
        lanes, width = target.lanes, 2 * target.lanes
        point = filters_point(self.channels, self.filters, target)
        with k.loop(k.begin, k.end) as channel:
            for first, count in vector_loop(k, self.filters, lanes):
                source = channel * self.filters + first
                at = first // width * (self.channels * width) + channel * width + first % width
                for i, values in enumerate(self._points(k, w, source, lanes, count)):
                    for j, value in enumerate(values):
                        k.store(u, at + (i * SIDE + j) * point, value)
        return k.kernel()

    def _points(self, k: Builder, w: Pointer, first: Operand, lanes: int, count: int) -> list[list[Value]]:
        tap = self.channels * self.filters
        return both_axes(3, 3, lambda i, j: k.load(w, (i * 3 + j) * tap + first, lanes, count), filter_row)


@dataclass(frozen=True)
class Products:
    """Emits one of the 36 matrix products for one panel: tiles × channels times channels × two vectors.

    Rows of the result are `panels` panels apart.
    """

    k: Builder
    target: Target
    channels: int
    panels: int
    rows: int

    def emit(self, v: Pointer, u: Pointer, m: Pointer, count: Operand) -> None:
        """Multiply `count` rows of `v`, and those up to the next whole register tile, by `u`; the result is `m`."""
        k, lanes = self.k, self.target.lanes
        width = 2 * lanes
        with k.loop(0, count, self.rows) as row:
            left = k.offset(v, row * self.channels)
            sums = Tile(k, self.target, self.rows, ColumnRange(0, 1, 2, lanes))
            with k.loop(0, self.channels) as c:
                sums.accumulate(lambda i: k.load(left, c + i * self.channels), u, c * width)
            for i in range(self.rows):
                for j in range(2):
                    k.store(m, (row + i) * (self.panels * width) + j * lanes, sums.value(i, j))


@dataclass(frozen=True)
class Winograd(KernelSpec):
    """`y = epilogue(x ∗ w)` for 3×3 kernels of stride 1, a block of tiles at a time; for many tiles.

    `x` is N × H × W × C, `u` comes from `WinogradFilters`, and the epilogue's arrays are N × OH × OW × K. A block is
    `tiles` tiles; each reads all of `u`. Tiles are prefetched for up to `max_prefetch_channels` channels.
    """

    signature: ClassVar[Signature] = Signature(("x", "u"), TILING_WORDS, epilogue=True)

    channels: int
    filters: int
    tiles: int
    max_prefetch_channels: int
    epilogue: Epilogue = PLAIN

    def schedule(self, target: Target) -> Schedule:
        """Return the schedule on `target`."""
        return Schedule.choose(self.tiles, self.filters, self.max_prefetch_channels, target)

    def scratch(self, target: Target) -> int:
        """Return the float32 elements of scratch memory for each thread: transformed inputs, sums, and one tile."""
        schedule = self.schedule(target)
        width = schedule.panels * 2 * target.lanes
        block_elements = schedule.padded_tiles * (self.channels + width)
        return POINTS * (block_elements + 2 * CACHE_LINE + max(self.channels, width))

    def build(self, target: Target) -> Kernel:
        k = Builder("winograd")
        (x, u), words = self.bind(k)
        tiling, schedule = Tiling(*words), self.schedule(target)
        epilogue = self.epilogue.bind(k, self.element)
        panel = 2 * target.lanes
        row_size = schedule.panels * panel
        v_point = schedule.padded_tiles * self.channels + CACHE_LINE
        m_point = schedule.padded_tiles * row_size + CACHE_LINE
        u_point = filters_point(self.channels, self.filters, target)
        v = k.scratch
        m = k.offset(v, POINTS * v_point)
        patch = k.offset(m, POINTS * m_point)
        prefetch_inputs, prefetch_outputs = (
            count <= schedule.max_prefetch_channels for count in (self.channels, self.filters)
        )
        inputs = TileTransform(k, target.lanes, self.channels, patch, v_point, prefetch_inputs)
        products = Products(k, target, self.channels, schedule.panels, schedule.rows)
        outputs = OutputTransform(k, target.lanes, self.filters, patch, m_point, tiling, epilogue)
        with k.loop(k.begin, k.end) as block:
            first = block * self.tiles
            count = k.minimum(self.tiles, tiling.count - first)
            with tiling.loop(first, count) as (tile, corner):
                destination = k.offset(v, tile * self.channels)
                inputs.emit(x, tiling.inputs(corner), destination)
                if prefetch_outputs:
                    outputs.prefetch(corner)
            with k.loop(0, POINTS) as point, k.loop(0, schedule.panels) as number:
                weights = k.offset(u, point * u_point + number * (self.channels * panel))
                sums = k.offset(m, point * m_point + number * panel)
                products.emit(k.offset(v, point * v_point), weights, sums, count)
            with tiling.loop(first, count) as (tile, corner):
                outputs.emit(k.offset(m, tile * row_size), corner)
        return k.kernel()


@dataclass(frozen=True)
class WinogradProducts(KernelSpec):
    """`m[f, t, k] = Σ_c v[f, t, c] · u[f, c, k]` for all tiles at once, which reads `u` once; for few tiles.

    `v` is 36 × padded_tiles × C, `u` comes from `WinogradFilters`, and `m` is 36 × padded_tiles × panels; each point of
    v and m has `CACHE_LINE` extra elements. `padded_tiles` is that of `count` tiles. A block is one panel of one point.
    """

    signature: ClassVar[Signature] = Signature(("v", "u", "m"), ("count", "padded_tiles"))

    channels: int
    filters: int
    rows: int

    def build(self, target: Target) -> Kernel:
        k = Builder("winograd_products")
        (v, u, m), (count, padded_tiles) = self.bind(k)
        panels, width = panel_count(self.filters, target), 2 * target.lanes
        products = Products(k, target, self.channels, panels, self.rows)
        with k.loop(k.begin, k.end) as block:
            point, panel = block // panels, block % panels
            left = k.offset(v, point * (padded_tiles * self.channels + CACHE_LINE))
            right = k.offset(u, point * filters_point(self.channels, self.filters, target))
            sums = k.offset(m, point * (padded_tiles * (panels * width) + CACHE_LINE) + panel * width)
            products.emit(left, k.offset(right, panel * (self.channels * width)), sums, count)
        return k.kernel()


@dataclass(frozen=True)
class WinogradOutputs(KernelSpec):
    """`y = epilogue(Aᵀ m A)`, tile by tile.

    `m` comes from `WinogradProducts`, and the epilogue's arrays are N × OH × OW × K. A block is one tile. Scratch: 4 ×
    4 vectors.
    """

    signature: ClassVar[Signature] = Signature(("m",), (*TILING_WORDS, "padded_tiles"), epilogue=True)

    filters: int
    epilogue: Epilogue = PLAIN

    def build(self, target: Target) -> Kernel:
        k = Builder("winograd_outputs")
        (m,), (*words, padded_tiles) = self.bind(k)
        tiling = Tiling(*words)
        epilogue = self.epilogue.bind(k, self.element)
        row_size = panel_count(self.filters, target) * 2 * target.lanes
        first = k.offset(m, k.begin * row_size)
        with tiling.loop(k.begin, k.end - k.begin) as (tile, corner):
            sums = k.offset(first, tile * row_size)
            point = padded_tiles * row_size + CACHE_LINE
            outputs = OutputTransform(k, target.lanes, self.filters, k.scratch, point, tiling, epilogue)
            outputs.emit(sums, corner)
        return k.kernel()
