"""The weight gradient of a 3×3 convolution by Winograd's algorithm.

The forward pass is Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A, linear in g; its transpose is
dg = Gᵀ [Σ_tiles (Bᵀ d B) ⊙ (A dY Aᵀ)] G: both sides are transformed tile by tile, 36 matrix products
reduce over all tiles, and the result is transformed back. Each product's reduction runs in the order
of the tiles, in one thread, so that the bits never depend on the number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.ir import Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.panels import over_panels, padded
from opsin.kernels.spec import LINE, KernelSpec, Signature, over_lanes
from opsin.kernels.tile import ColumnRange, Tile, over_rows, split
from opsin.kernels.transforms import POINTS, SIDE, both_axes, filter_gradient_row
from opsin.kernels.winograd import TILING_WORDS, Tiling, transform_tile

TILES = 16
"""Tiles that one block transforms."""
DEPTH = 96
"""Tiles that a register tile sums before it is put away: both operands' rows stay in the first-level cache."""


@dataclass(frozen=True)
class WinogradTiles(KernelSpec):
    """Transformed tiles of the inputs (6×6 pixels), or of the output's gradient (4×4), each of the 36 points `LINE`
    further than it must: 36 × panels × held × `panel` channels.

    Arguments: source (N H W C, or N OH OW C), result; those of `Tiling`; the number of the first tile; held.
    `count` is the number of tiles from the first on. A block is `TILES` tiles. Scratch: 36 × channels.
    """

    signature: ClassVar[Signature] = Signature(("source", "result"), (*TILING_WORDS, "first_tile", "padded_tiles"))

    channels: int
    of_gradient: bool
    panel: int

    def build(self, target: Target) -> Kernel:
        k = Builder("winograd_tiles")
        source, result = k.buffer("source"), k.buffer("result")
        tiling = Tiling.bind(k)
        start = k.index("start")
        held = k.index("held")
        lanes, point = target.lanes, held * padded(self.channels, self.panel) + LINE

        def panel(c: Operand) -> Operand:
            return c // self.panel * (held * self.panel) + c % self.panel

        begin = k.begin * TILES
        first = k.offset(result, begin * self.panel)
        sight = tiling.gradients if self.of_gradient else tiling.inputs
        with tiling.each(start + begin, k.minimum(tiling.count, k.end * TILES) - begin) as (t, place):
            into = k.offset(first, t * self.panel)
            transform_tile(k, source, k.scratch, sight(place), into, point, self.channels, lanes, panel)
        return k.kernel()


@dataclass(frozen=True)
class Sums:
    """The products of one point over some tiles: `rows` × `filters` sums, the left operand in rows of `panel`, the
    right one in panels of two vectors, `step` elements apart."""

    rows: int
    filters: int
    panel: int
    step: Operand

    def emit(
        self,
        k: Builder,
        target: Target,
        left: Pointer,
        right: Pointer,
        into: Pointer,
        tiles: tuple[Operand, Operand],
        is_first: Value,
    ) -> None:
        """`into` (rows × filters) gets the sums over the tiles between two numbers, or has them added to it."""
        pair = 2 * target.lanes

        def across(number: Operand, run: ColumnRange) -> None:
            panel = k.offset(right, number * self.step)

            def tile(row: Operand, rows: int) -> None:
                sums = Tile(k, target, rows, run)
                with k.loop(*tiles) as t:
                    at = t * self.panel + row
                    sums.accumulate(lambda i: k.load(left, at + i), panel, t * pair)
                place = row * self.filters + number * pair
                with k.when(is_first) as branch:
                    sums.put(into, place, self.filters, add=False)
                with k.otherwise(branch):
                    sums.put(into, place, self.filters, add=True)

            over_rows(k, split(self.rows, (target.registers - 3) // 2), tile)

        over_panels(k, self.filters, target.lanes, across)


@dataclass(frozen=True)
class WinogradReduction(KernelSpec):
    """`du[f, c, k] (+)= Σ_t v[f, t, c] · z[f, t, k]`, for the 36 points f.

    Arguments: v of `WinogradTiles` in panels of `panel` channels, z in panels of two vectors, du (36 × C × K), count;
    `more`, 1 to add to what du holds. A block is `rows` channels c of one point; `rows` divides `panel`.
    """

    signature: ClassVar[Signature] = Signature(("v", "z", "du"), ("count", "accumulate"))

    channels: int
    filters: int
    panel: int
    rows: int

    def build(self, target: Target) -> Kernel:
        k = Builder("winograd_reduction")
        v, z, du = k.buffer("v"), k.buffer("z"), k.buffer("du")
        count, more = k.index("count"), k.index("more")
        parts, pair = self.channels // self.rows, 2 * target.lanes
        with k.loop(k.begin, k.end) as block:
            point, first = block // parts, block % parts * self.rows
            left = k.offset(v, point * (count * padded(self.channels, self.panel) + LINE))
            left = k.offset(left, first // self.panel * (count * self.panel) + first % self.panel)
            right = k.offset(z, point * (count * padded(self.filters, pair) + LINE))
            into = k.offset(du, point * (self.channels * self.filters + LINE) + first * self.filters)
            with k.loop(0, count, DEPTH) as t:
                tiles = (t, k.minimum(count, t + DEPTH))
                sums = Sums(self.rows, self.filters, self.panel, count * pair)
                sums.emit(k, target, left, right, into, tiles, k.equal(more + t, 0))
        return k.kernel()


@dataclass(frozen=True)
class WinogradParts(KernelSpec):
    """`du[p, f, c, k] = Σ_t v[f, t, c] · z[f, t, k]` over the tiles of part p, which are transformed on the way.

    For few channels, whose sums at all points stay in cache: no transformed tile is ever in memory.

    Arguments: x (N H W C), g (N OH OW K), du (parts × 36 × C × K, each of the 36 points `LINE` further than it must);
    those of `Tiling`; the tiles of a part. A block is one part. Scratch: see `scratch`.
    """

    signature: ClassVar[Signature] = Signature(("x", "g", "du"), (*TILING_WORDS, "tiles_per_part"))

    channels: int
    filters: int

    def scratch(self, target: Target) -> int:
        """Float32 elements of scratch memory a thread needs: both sides' transformed tiles, and one tile."""
        widths = self.channels + padded(self.filters, 2 * target.lanes)
        return POINTS * (TILES * widths + 2 * LINE + max(self.channels, self.filters))

    def build(self, target: Target) -> Kernel:
        k = Builder("winograd_parts")
        x, g, du = k.buffer("x"), k.buffer("g"), k.buffer("du")
        tiling = Tiling.bind(k)
        per = k.index("per")
        lanes, pair = target.lanes, 2 * target.lanes
        v_point = TILES * self.channels + LINE
        z_point = TILES * padded(self.filters, pair) + LINE
        du_point = self.channels * self.filters + LINE
        v = k.scratch
        z = k.offset(v, POINTS * v_point)
        patch = k.offset(z, POINTS * z_point)
        sums = Sums(self.channels, self.filters, self.channels, TILES * pair)

        def panel(c: Operand) -> Operand:
            return c // pair * (TILES * pair) + c % pair

        with k.loop(k.begin, k.end) as part:
            begin = part * per
            with k.loop(begin, k.minimum(tiling.count, begin + per), TILES) as first:
                count = k.minimum(k.minimum(tiling.count, begin + per) - first, TILES)
                with tiling.each(first, count) as (t, place):
                    into = k.offset(v, t * self.channels)
                    transform_tile(k, x, patch, tiling.inputs(place), into, v_point, self.channels, lanes)
                with tiling.each(first, count) as (t, place):
                    into = k.offset(z, t * pair)
                    transform_tile(k, g, patch, tiling.gradients(place), into, z_point, self.filters, lanes, panel)
                with k.loop(0, POINTS) as point:
                    into = k.offset(du, (part * POINTS + point) * du_point)
                    left, right = k.offset(v, point * v_point), k.offset(z, point * z_point)
                    sums.emit(k, target, left, right, into, (0, count), k.equal(first, begin))
        return k.kernel()


@dataclass(frozen=True)
class WinogradWeight(KernelSpec):
    """dw = Gᵀ du G for every pair of channels.

    Arguments: du (36 × C × K), dw (3 3 C K). A block is one input channel.
    """

    signature: ClassVar[Signature] = Signature(("du", "dw"))

    channels: int
    filters: int

    def build(self, target: Target) -> Kernel:
        k = Builder("winograd_weight")
        du, dw = k.buffer("du"), k.buffer("dw")
        size = self.channels * self.filters
        point = size + LINE
        with k.loop(k.begin, k.end) as channel:

            def vector(first: Operand, count: int) -> None:
                at = channel * self.filters + first
                read = lambda i, j: k.load(du, (i * SIDE + j) * point + at, target.lanes, count)  # noqa: E731
                for i, values in enumerate(both_axes(SIDE, SIDE, read, filter_gradient_row)):
                    for j, value in enumerate(values):
                        k.store(dw, (i * 3 + j) * size + at, value, count)

            over_lanes(k, self.filters, target.lanes, vector)
        return k.kernel()
