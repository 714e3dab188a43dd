"""The weight gradient of a 3×3 convolution by Winograd's algorithm.

The forward pass is Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A, which is linear in g. Its transpose is
dg = Gᵀ [Σ_tiles (Bᵀ d B) ⊙ (A dY Aᵀ)] G: both sides are transformed tile by tile, 36 matrix products reduce over all
tiles, and the result is transformed back. Each reduction runs in the order of the tiles, in one thread, so the result
does not depend on the number of threads.

On two cores of an AMD EPYC (Zen 3, AVX2), layers with 16 to 128 channels reach 2.0 to 2.9 times the MAC peak,
counted in MACs of direct convolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from opsin.kernels.conv import windows
from opsin.kernels.ir import Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.panels import panel_loop, round_up
from opsin.kernels.spec import CACHE_LINE, KernelSpec, Signature, vector_loop
from opsin.kernels.tile import Tile, max_panel_rows, row_loop, row_ranges
from opsin.kernels.tiling import TILING_WORDS, Tiling
from opsin.kernels.transforms import POINTS, SIDE, both_axes, filter_gradient_row
from opsin.kernels.winograd_tile import TileTransform


def reference(x: np.ndarray, g: np.ndarray, padding: tuple[int, int]) -> np.ndarray:
    """Return the gradient (3 × 3 × C × K) for images `x` (N × H × W × C) and the outputs' gradient `g` (N × OH × OW ×
    K)."""
    dw: np.ndarray = np.einsum("nyxcrs,nyxk->rsck", windows(x, (3, 3), (1, 1), (1, 1), padding, g.shape[1:3]), g)
    return dw


@dataclass(frozen=True)
class Schedule:
    """The order of the computation, which affects its speed and the rounding of its sums.

    Order: points, panels of two vectors of filters, rows of channels, tiles.
    """

    tiles: int
    """Block: tiles of both operands that are transformed at a time."""
    depth: int
    """Reduction: tiles that a register tile sums before it is written."""
    max_prefetch_channels: int
    """Prefetch: the next row of tiles is prefetched for up to this many channels."""

    def prefetches(self, channels: int) -> bool:
        """Whether tiles of `channels` are prefetched."""
        return channels <= self.max_prefetch_channels


@dataclass(frozen=True)
class WinogradTiles(KernelSpec):
    """Transformed tiles of the inputs (6×6 pixels) or of the outputs' gradient (4×4 pixels, `of_gradient`).

    `source` is N × H × W × C, or N × OH × OW × C. `result` is 36 × panels × padded_tiles × `panel` channels; each point
    has `CACHE_LINE` extra elements. The `count` tiles from `first_tile` on are transformed. A block is
    `schedule.tiles` tiles. Scratch: 36 × channels.
    """

    signature: ClassVar[Signature] = Signature(("source", "result"), (*TILING_WORDS, "first_tile", "padded_tiles"))

    channels: int
    of_gradient: bool
    panel: int
    schedule: Schedule

    def build(self, target: Target) -> Kernel:
        k = Builder("winograd_tiles")
        (source, result), (*words, first_tile, padded_tiles) = self.bind(k)
        tiling = Tiling(*words)
        point = padded_tiles * round_up(self.channels, self.panel) + CACHE_LINE

        def position(channel: Operand) -> Operand:
            return channel // self.panel * (padded_tiles * self.panel) + channel % self.panel

        prefetch = self.schedule.prefetches(self.channels)
        transform = TileTransform(k, target.lanes, self.channels, k.scratch, point, prefetch, position)
        begin = k.begin * self.schedule.tiles
        first = k.offset(result, begin * self.panel)
        pixels = tiling.gradients if self.of_gradient else tiling.inputs
        with tiling.loop(first_tile + begin, k.minimum(tiling.count, k.end * self.schedule.tiles) - begin) as (
            tile,
            corner,
        ):
            destination = k.offset(first, tile * self.panel)
            transform.emit(source, pixels(corner), destination)
        return k.kernel()


@dataclass(frozen=True)
class PointSums:
    """Emits the products of one point, summed over some tiles: a matrix of `rows` × `filters`.

    The left operand has rows of `panel` elements, the right one panels of two vectors, `panel_size` elements apart.
    """

    k: Builder
    target: Target
    rows: int
    filters: int
    panel: int
    panel_size: Operand

    def emit(
        self, left: Pointer, right: Pointer, target: Pointer, tiles: tuple[Operand, Operand], is_first: Value
    ) -> None:
        """Sum over the tiles from `tiles[0]` up to `tiles[1]`; `target` is overwritten if `is_first`, else added to."""
        k = self.k
        for number, columns in panel_loop(k, self.filters, self.target.lanes):
            panel = k.offset(right, number * self.panel_size)
            for row, rows in row_loop(k, row_ranges(self.rows, max_panel_rows(self.target))):
                sums = Tile(k, self.target, rows, columns)
                self._accumulate(sums, left, row, panel, tiles)
                at = row * self.filters + number * (2 * self.target.lanes)
                with k.when(is_first) as branch:
                    sums.store(target, at, self.filters, add=False)
                with k.otherwise(branch):
                    sums.store(target, at, self.filters, add=True)

    def _accumulate(
        self, sums: Tile, left: Pointer, row: Operand, panel: Pointer, tiles: tuple[Operand, Operand]
    ) -> None:
        k = self.k
        with k.loop(*tiles) as tile:
            at = tile * self.panel + row
            sums.accumulate(lambda i: k.load(left, at + i), panel, tile * (2 * self.target.lanes))


@dataclass(frozen=True)
class WinogradReduction(KernelSpec):
    """`du[f, c, k] (+)= Σ_t v[f, t, c] · z[f, t, k]`, for the 36 points f.

    `v` comes from `WinogradTiles` with panels of `panel` channels, `z` with panels of two vectors, and `du` is
    36 × C × K. The sums are added to `du` if `accumulate` is 1. A block is `rows` channels c of one point; `rows`
    divides `panel`.
    """

    signature: ClassVar[Signature] = Signature(("v", "z", "du"), ("count", "accumulate"))

    channels: int
    filters: int
    panel: int
    rows: int
    schedule: Schedule

    def build(self, target: Target) -> Kernel:
        k = Builder("winograd_reduction")
        (v, z, du), (count, accumulate) = self.bind(k)
        shares, width = self.channels // self.rows, 2 * target.lanes
        with k.loop(k.begin, k.end) as block:
            point, first = block // shares, block % shares * self.rows
            left = k.offset(v, point * (count * round_up(self.channels, self.panel) + CACHE_LINE))
            left = k.offset(left, first // self.panel * (count * self.panel) + first % self.panel)
            right = k.offset(z, point * (count * round_up(self.filters, width) + CACHE_LINE))
            sums = k.offset(du, point * (self.channels * self.filters + CACHE_LINE) + first * self.filters)
            with k.loop(0, count, self.schedule.depth) as tile:
                tiles = (tile, k.minimum(count, tile + self.schedule.depth))
                products = PointSums(k, target, self.rows, self.filters, self.panel, count * width)
                products.emit(left, right, sums, tiles, k.equal(accumulate + tile, 0))
        return k.kernel()


@dataclass(frozen=True)
class WinogradParts(KernelSpec):
    """`du[p, f, c, k] = Σ_t v[f, t, c] · z[f, t, k]` over the tiles of part p, which are transformed block by block.

    This is for few channels, for which the sums at all points stay in cache: no transformed tile reaches memory.

    `x` is N × H × W × C, `g` is N × OH × OW × K, and `du` is parts × 36 × C × K; each of the 36 points has
    `CACHE_LINE` extra elements. A block is one part, of `tiles_per_part` tiles.
    """

    signature: ClassVar[Signature] = Signature(("x", "g", "du"), (*TILING_WORDS, "tiles_per_part"))

    channels: int
    filters: int
    schedule: Schedule

    def scratch(self, target: Target) -> int:
        """Return the float32 elements of scratch memory for each thread: transformed tiles of both sides, and one
        tile."""
        widths = self.channels + round_up(self.filters, 2 * target.lanes)
        return POINTS * (self.schedule.tiles * widths + 2 * CACHE_LINE + max(self.channels, self.filters))

    def build(self, target: Target) -> Kernel:
        k = Builder("winograd_parts")
        (x, g, du), (*words, tiles_per_part) = self.bind(k)
        tiling = Tiling(*words)
        schedule, tiles = self.schedule, self.schedule.tiles
        lanes, panel = target.lanes, 2 * target.lanes
        v_point = tiles * self.channels + CACHE_LINE
        z_point = tiles * round_up(self.filters, panel) + CACHE_LINE
        du_point = self.channels * self.filters + CACHE_LINE
        v = k.scratch
        z = k.offset(v, POINTS * v_point)
        patch = k.offset(z, POINTS * z_point)

        def position(channel: Operand) -> Operand:
            return channel // panel * (tiles * panel) + channel % panel

        inputs = TileTransform(k, lanes, self.channels, patch, v_point, schedule.prefetches(self.channels))
        gradients = TileTransform(k, lanes, self.filters, patch, z_point, schedule.prefetches(self.filters), position)
        sums = PointSums(k, target, self.channels, self.filters, self.channels, tiles * panel)
        with k.loop(k.begin, k.end) as part:
            begin = part * tiles_per_part
            with k.loop(begin, k.minimum(tiling.count, begin + tiles_per_part), tiles) as first:
                count = k.minimum(k.minimum(tiling.count, begin + tiles_per_part) - first, tiles)
                with tiling.loop(first, count) as (tile, corner):
                    destination = k.offset(v, tile * self.channels)
                    inputs.emit(x, tiling.inputs(corner), destination)
                with tiling.loop(first, count) as (tile, corner):
                    destination = k.offset(z, tile * panel)
                    gradients.emit(g, tiling.gradients(corner), destination)
                with k.loop(0, POINTS) as point:
                    target_sums = k.offset(du, (part * POINTS + point) * du_point)
                    left, right = k.offset(v, point * v_point), k.offset(z, point * z_point)
                    sums.emit(left, right, target_sums, (0, count), k.equal(first, begin))
        return k.kernel()


@dataclass(frozen=True)
class WinogradWeight(KernelSpec):
    """dw = Gᵀ du G for every pair of channels.

    `du` is 36 × C × K, `dw` is 3 × 3 × C × K. A block is one input channel.
    """

    signature: ClassVar[Signature] = Signature(("du", "dw"))

    channels: int
    filters: int

    def build(self, target: Target) -> Kernel:
        k = Builder("winograd_weight")
        (du, dw), _ = self.bind(k)
        size = self.channels * self.filters
        with k.loop(k.begin, k.end) as channel:
            for first, count in vector_loop(k, self.filters, target.lanes):
                at = channel * self.filters + first
                for i, values in enumerate(self._taps(k, du, at, target.lanes, count)):
                    for j, value in enumerate(values):
                        k.store(dw, (i * 3 + j) * size + at, value, count)
        return k.kernel()

    def _taps(self, k: Builder, du: Pointer, first: Operand, lanes: int, count: int) -> list[list[Value]]:
        point = self.channels * self.filters + CACHE_LINE
        return both_axes(
            SIDE, SIDE, lambda i, j: k.load(du, (i * SIDE + j) * point + first, lanes, count), filter_gradient_row
        )
