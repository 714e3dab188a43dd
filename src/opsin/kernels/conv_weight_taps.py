"""The weight gradient of a convolution, tap by tap: for wide layers, any kernel, stride and dilation.

For one tap of the kernel, `dw[c, k] = Σ x[pixel under the tap, c] · g[pixel, k]` is a matrix product. Its operands are
packed some pixels at a time, because in place the rows of successive pixels are so far apart that they compete for the
same sets of a cache. A block owns some channels of one tap, so partial sums are needed only if there would be too few
blocks. While some pixels are multiplied, the next ones are prefetched: otherwise the product would wait for memory each
time, because nothing else is read from it.

On two cores of an AMD EPYC (Zen 3, AVX2), weight gradients of 1×1 layers of ResNet-50 run at 83 to 91% of the
MAC peak.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

from opsin.kernels.conv import ConvWindow, first_inside, first_outside
from opsin.kernels.ir import (
    BF16,
    F32,
    INDEX,
    PAIR,
    TILE_ROWS,
    Builder,
    Kernel,
    Operand,
    Pointer,
    ScalarType,
    Target,
    Value,
)
from opsin.kernels.panels import panel_loop, round_up
from opsin.kernels.spec import CACHE_LINE, KernelSpec, Signature, clear_constant, transpose_in_registers
from opsin.kernels.tile import Tile, max_panel_rows, row_loop, row_ranges
from opsin.kernels.tiles import COLUMNS, SUMS, multiply_block


@dataclass(frozen=True)
class ConvWeightTaps(KernelSpec):
    """Blocks of `rows` channels × `columns` filters of one tap, for one part of the images.

    `panel` channels, a divisor of `rows`, are packed together; `columns` divides the filters. `x` is N × H × W × C, `g`
    is N × OH × OW × K, and `result` is parts × kh × kw × C × K. A part is `images` images. There are
    parts × kh × kw × C / rows × K / columns blocks. `depth` pixels are packed at a time. If `pairs`, `x` and `g` are
    bfloat16, `depth` pairs of pixels are packed, and both of a pair are multiplied at once.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "g", "result"), ("N", "H", "W", "OH", "OW", "kh", "sh", "dh", "top", "left", "images")
    )

    window: ConvWindow
    filters: int
    rows: int
    panel: int
    columns: int
    depth: int
    pairs: bool = False

    def scratch(self, target: Target) -> int:
        """Return the words of scratch memory: `depth` pixels of both operands, or pairs of pixels."""
        tiles = self.depth * self.panel + SUMS if self.uses_tiles(target) else 0
        return self.depth * (self.rows + round_up(self.columns, 2 * target.lanes)) + tiles + target.lanes

    def uses_tiles(self, target: Target) -> bool:
        """Whether the products are computed in tile registers."""
        return target.tiles and self.pairs and self.panel % TILE_ROWS == 0 and self.depth % TILE_ROWS == 0

    @property
    def lane(self) -> str:
        """The element kind of the packed operands."""
        return PAIR if self.pairs else F32

    def build(self, target: Target) -> Kernel:
        k = Builder("conv_weight_taps")
        (x, g, result), words = self.bind(k)
        number, height, width, out_height, out_width, kernel, stride, dilation, top, left, images = words
        window = self.window
        column_blocks, row_blocks = self.filters // self.columns, window.channels // self.rows
        tiles = k.tiles() if self.uses_tiles(target) else nullcontext()
        with tiles, k.loop(k.begin, k.end) as block:
            first, row_block = block % column_blocks * self.columns, block // column_blocks % row_blocks
            tap = block // (column_blocks * row_blocks)
            s, r = tap % window.width, tap // window.width % kernel
            part = tap // (window.width * kernel)
            sums = k.offset(result, (tap * window.channels + row_block * self.rows) * self.filters + first)
            zero = k.broadcast(0.0, target.lanes)
            with k.loop(0, self.rows) as row:
                clear_constant(k, k.offset(sums, row * self.filters), self.columns, zero)
            y, x0 = r * dilation - top, s * window.dilation - left
            rows = _outputs(k, y, stride, height, out_height)
            columns = _outputs(k, x0, k.constant(window.stride, s.kind), width, out_width)
            pixels = _PackedPixels(k, self, target, k.offset(x, row_block * self.rows), k.offset(g, first), sums)
            with (
                k.loop(part * images, k.minimum(number, (part + 1) * images)) as n,
                k.loop(*rows) as row,
            ):
                input_row = ((n * height + row * stride + y) * width + x0) * window.channels
                output_row = (n * out_height + row) * out_width
                pixels.add(input_row, output_row, columns)
            pixels.finish()
        return k.kernel()


class _PackedPixels:
    """Pixels of both operands in scratch memory; every `depth` pixels are multiplied and added to `sums`."""

    def __init__(self, k: Builder, spec: ConvWeightTaps, target: Target, x: Pointer, g: Pointer, sums: Pointer) -> None:
        self.k, self.spec, self.target, self.x, self.g, self.sums = k, spec, target, x, g, sums
        self.count = k.register(k.constant(0, ScalarType(INDEX)))
        self.left, self.right = (k.offset(k.scratch, at).of(spec.lane) for at in (0, spec.depth * spec.rows))

    def add(self, input_row: Value, output_row: Value, columns: tuple[Value, Value]) -> None:
        """Add the pixels `columns` of one row: of x from element `input_row` on, of g from pixel `output_row` on."""
        k, spec = self.k, self.spec
        steps, (first, last) = (spec.window.stride * spec.window.channels, spec.filters), columns
        operands = k.offset(self.x, input_row), k.offset(self.g, output_row * spec.filters)
        main_end = first + (last - first) // 2 * 2
        ranges = [(first, main_end, 2), (main_end, last, 1)] if spec.pairs else [(first, last, 1)]
        for start, stop, size in ranges:
            with k.loop(start, stop, size) as c:
                pairs = zip(operands, steps, strict=True)
                self._pack(*([k.offset(p, (c + i) * step) for i in range(size)] for p, step in pairs))

    def _pack(self, pixels: list[Pointer], gradients: list[Pointer]) -> None:
        """Add one pixel of both operands, or a pair of them, and multiply if that makes `depth`."""
        k, spec, lanes = self.k, self.spec, self.target.lanes
        width = 2 * lanes
        p = self.count.get()
        left, right = k.offset(self.left, p * spec.panel), k.offset(self.right, p * width)
        for number in range(spec.rows // spec.panel):
            sources = [k.offset(pixel, number * spec.panel) for pixel in pixels]
            pack_unrolled(k, sources, k.offset(left, number * (spec.depth * spec.panel)), spec.panel, lanes)
        for panel, filters in panel_loop(k, spec.columns, lanes):
            sources = [k.offset(gradient, panel * width) for gradient in gradients]
            destination = k.offset(right, panel * (spec.depth * width))
            pack_unrolled(k, sources, destination, filters.width(lanes), lanes)
        self.count.set(p + 1)
        with k.when(p + 1 >= spec.depth):
            self._multiply(k.constant(spec.depth, p.kind), (pixels[-1], gradients[-1]))
            self.count.set(0)

    def finish(self) -> None:
        """Multiply the remaining pixels."""
        count = self.count.get()
        with self.k.when(count > 0):
            self._multiply(count)

    def _multiply(self, count: Value, last: tuple[Pointer, Pointer] | None = None) -> None:
        """Add the products of `count` pixels; those after the `last` pixels of both operands are prefetched."""
        k, spec, target = self.k, self.spec, self.target
        width = 2 * target.lanes
        if spec.uses_tiles(target):
            self._multiply_tiles(count)
            return
        for number, columns in panel_loop(k, spec.columns, target.lanes):
            right = k.offset(self.right, number * (spec.depth * width))
            with k.loop(0, spec.rows, spec.panel) as first:
                left = k.offset(self.left, first * spec.depth)
                for at, rows in row_loop(k, row_ranges(spec.panel, max_panel_rows(target))):
                    sums = Tile(k, target, rows, columns)
                    index = (first + at) * spec.filters + number * width
                    lines = self._next_lines(last, number, first + at) if last else []
                    self._accumulate(sums, count, left, at, right, lines)
                    sums.store(self.sums, index, spec.filters, add=True)

    def _multiply_tiles(self, count: Value) -> None:
        """Multiply in tile registers, in which the pixels are adjacent in the left operand: it is transposed first."""
        k, spec, lanes = self.k, self.spec, self.target.lanes
        steps = (count + (TILE_ROWS - 1)) // TILE_ROWS
        self._clear_pairs(count, steps * TILE_ROWS)
        transposed = k.offset(k.scratch, spec.depth * (spec.rows + round_up(spec.columns, COLUMNS))).of(PAIR)
        sums = k.offset(transposed, spec.depth * spec.panel).of(F32)
        with k.loop(0, spec.rows, spec.panel) as first:
            left = k.offset(self.left, first * spec.depth)
            for group in range(spec.panel // TILE_ROWS):
                with k.loop(0, steps) as step:
                    corner = k.offset(left, step * (TILE_ROWS * spec.panel) + group * TILE_ROWS)
                    rows = [k.load(corner, i * spec.panel, lanes) for i in range(TILE_ROWS)]
                    tile = k.offset(transposed, group * (spec.depth * TILE_ROWS) + step * (TILE_ROWS * TILE_ROWS))
                    for i, row in enumerate(transpose_in_registers(k, rows)):
                        k.store(tile, i * TILE_ROWS, row)
            for number, columns in panel_loop(k, spec.columns, lanes):
                right = k.offset(self.right, number * (spec.depth * COLUMNS))
                for at, groups in row_loop(k, row_ranges(spec.panel // TILE_ROWS, 2)):
                    self._block(transposed, at, right, steps, sums, groups)
                    with k.loop(0, groups * TILE_ROWS) as r:
                        target = (first + at * TILE_ROWS + r) * spec.filters + number * COLUMNS
                        for j, n in enumerate(columns.lane_counts(lanes)):
                            value = k.load(sums, r * COLUMNS + j * lanes, lanes, n)
                            old = k.load(self.sums, target + j * lanes, lanes, n)
                            k.store(self.sums, target + j * lanes, old + value, n)

    def _block(self, left: Pointer, at: Operand, right: Pointer, steps: Value, sums: Pointer, groups: int) -> None:
        """Multiply `groups` groups of 16 transposed rows, from group `at` on, by the panel `right`."""
        depth = self.spec.depth

        def place(group: int, step: Value) -> tuple[Pointer, Operand]:
            return left, (at + group) * (depth * TILE_ROWS) + step * (TILE_ROWS * TILE_ROWS)

        multiply_block(self.k, place, TILE_ROWS, right, steps, sums, groups)

    def _clear_pairs(self, first: Value, last: Value) -> None:
        """Clear the pairs of pixels from `first` up to `last`, which complete a tile."""
        k, spec, lanes = self.k, self.spec, self.target.lanes
        zero = k.broadcast(0, lanes, PAIR)
        with k.loop(first, last) as p:
            for operand, panel, panels in (
                (self.left, spec.panel, spec.rows // spec.panel),
                (self.right, COLUMNS, round_up(spec.columns, COLUMNS) // COLUMNS),
            ):
                with k.loop(0, panels) as number:
                    row = k.offset(operand, number * (spec.depth * panel) + p * panel)
                    for at in range(0, panel, lanes):
                        k.store(row, at, zero)

    def _accumulate(
        self, sums: Tile, count: Value, left: Pointer, at: Operand, right: Pointer, lines: list[tuple[Pointer, int]]
    ) -> None:
        """`lines` are (cache line of the first pixel to prefetch, distance of pixels)."""
        k, panel = self.k, self.spec.panel
        with k.loop(0, count) as p:
            for line, step in lines:
                k.prefetch(line, p * step)
            sums.accumulate(lambda i: k.load(left, p * panel + at + i), right, p * (2 * self.target.lanes))

    def _next_lines(self, last: tuple[Pointer, Pointer], number: Operand, row: Value) -> list[tuple[Pointer, int]]:
        """Return the lines to prefetch during the tile of panel `number` that begins in `row`.

        The tiles of a panel share its lines of the gradient and as many of the input as each panel has to fetch. Pixels
        are taken to be contiguous, which they are except at the ends of rows.
        """
        k, spec, width = self.k, self.spec, 2 * self.target.lanes
        in_panel = -(-spec.panel // max_panel_rows(self.target))
        tiles, panels = in_panel * (spec.rows // spec.panel), -(-spec.columns // width)
        tile = row * in_panel // spec.panel
        lines: list[tuple[Pointer, int]] = []
        pack = 1 + spec.pairs
        line_size = CACHE_LINE * pack
        operands = (
            (last[0], spec.window.stride * spec.window.channels, -(-spec.rows // (line_size * panels))),
            (last[1], spec.filters, -(-width // line_size)),
        )
        for pixel, step, count in operands:
            for i, ahead in product(range(0, count, tiles), range(1, pack + 1)):
                line = number * count + k.minimum(tile + i, count - 1)
                lines.append((k.offset(pixel, ahead * step + line * line_size), pack * step))
        return lines


def pack_unrolled(k: Builder, sources: list[Pointer], target: Pointer, count: int, lanes: int) -> None:
    """Copy `count` elements without a loop, or make pairs of those of two `sources`; a missing one is zero."""
    for first in range(0, count, lanes):
        n = min(lanes, count - first)
        if target.element != PAIR:
            k.store(target, first, k.load(sources[0], first, lanes, n), n)
            continue
        lower, upper = [k.load_narrow(source, first, lanes, n) for source in sources] + [
            k.broadcast(0, lanes, BF16)
        ] * (2 - len(sources))
        k.store(target, first, k.pair(lower, upper), n)


def _outputs(k: Builder, shift: Value, stride: Value, limit: Value, count: Value) -> tuple[Value, Value]:
    """Return the range of the outputs i with 0 ≤ i · stride + shift < limit."""
    return first_inside(k, shift, stride), first_outside(k, shift, stride, limit, count)
