"""Convolution as a matrix product over packed pixels: for wide layers, any kernel, stride and dilation.

For a block of output pixels, which may span rows and images, the numbers under their windows are copied to scratch
memory, one row for each pixel (the implicit form of "im2col", Chellapilla et al. 2006). The rows are multiplied by the
weights, which are packed in panels that every register tile reads sequentially. The copy pays off if each number is
used for many filters. 1×1 convolutions of stride 1 need no copy.

On two cores of an AMD EPYC (Zen 3, AVX2), 1×1 layers of ResNet-50 run at 85 to 98% of the MAC peak forward
and at 75 to 95% in input gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.conv import ConvWindow
from opsin.kernels.ir import BF16, F32, I32, PAIR, TILE_ROWS, Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.panels import panel_count, panel_loop
from opsin.kernels.spec import CACHE_LINE, KernelSpec, Signature, copy, copy_constant, loop_or_unroll, vector_loop
from opsin.kernels.summation import CHANNEL, COLUMN, ROW, Summation
from opsin.kernels.tile import (
    PLAIN,
    BoundEpilogue,
    ColumnRange,
    Epilogue,
    Tile,
    max_panel_rows,
    row_loop,
    row_ranges,
)
from opsin.kernels.tiles import BLOCK_ROWS, COLUMNS, SUMS, fills_tiles, multiply_block


@dataclass(frozen=True)
class ConvPacked(KernelSpec):
    """`y = epilogue(x ∗ w)` for one group.

    `x` is N × H × W × C; `u` is the weights kh kw C × K from `PackPanels`, in panels of two vectors, of float32 or, for
    an even C, pairs of bfloat16; `count` is N · OH · OW. The epilogue's arrays are N × OH × OW × K; if
    `strided_output`, `out_strides` are the distances in them between images, rows and columns.

    A block is `pixels` output pixels, for one of `shares` shares of the panels; the share varies fastest. `copies`: the
    windows are copied. `prefetches`: pixels of the next block, which need no copy, are prefetched during this one.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "u"), ("H", "W", "OH", "OW", "sh", "dh", "top", "left", "count", "*out_strides"), epilogue=True
    )

    window: ConvWindow
    height: int
    filters: int
    pixels: int
    copies: bool
    strided_output: bool = False
    shares: int = 1
    prefetches: bool = False
    epilogue: Epilogue = PLAIN

    @property
    def depth(self) -> int:
        """Numbers under a window."""
        return self.height * self.window.width * self.window.channels

    @property
    def pack(self) -> int:
        """The numbers of a lane: 2 if they are bfloat16, of an even depth."""
        return 2 if self.element("u") == BF16 else 1

    @property
    def lane(self) -> str:
        """The element kind of a lane."""
        return PAIR if self.pack == 2 else F32

    @property
    def row_words(self) -> int:
        """The words of four bytes that the numbers under a window take."""
        return self.depth // self.pack

    def uses_tiles(self, target: Target) -> bool:
        """Whether the product is computed in tile registers; `pixels` must then be a multiple of a block's rows."""
        return self.pack == 2 and fills_tiles(self.depth, target)

    def scratch(self, target: Target) -> int:
        """Return the words of scratch memory: the numbers under each window, the index of each output, and sums."""
        sums, copies = (SUMS, True) if self.uses_tiles(target) else (0, self.copies)
        return self.pixels * (self.row_words * copies + self.strided_output) + sums + target.lanes

    def summation(self, words: Sequence[int], target: Target) -> Summation | None:
        return Summation((ROW, COLUMN, CHANNEL)) if self.pack == 1 else None

    def build(self, target: Target) -> Kernel:
        k = Builder("conv_packed")
        (x, u), words = self.bind(k, out_strides=3 * self.strided_output)
        geometry, total, strides = _Geometry(*words[:8]), words[8], words[9:]
        product = _Product(self, k, target, u, self.epilogue.bind(k, self.element))
        windows = _Windows(self, k, target.lanes, x, geometry)
        tiles = self.uses_tiles(target)
        indices = k.offset(k.scratch, self.pixels * self.row_words * (self.copies or tiles)).of(I32)
        rows = k.scratch.of(self.element("u"))
        with k.tiles() if tiles else nullcontext(), k.loop(k.begin, k.end) as block:
            first = block // self.shares * self.pixels
            count = k.minimum(self.pixels, total - first)
            if self.copies:
                with k.loop(0, count) as p:
                    windows.copy(k.offset(rows, p * self.depth), first + p)
                left = rows
            else:
                left = k.offset(x, first * self.depth)
            if self.strided_output:
                with k.loop(0, count) as p:
                    image, row, column = (i * n for i, n in zip(geometry.position(first + p), strides, strict=True))
                    k.store(indices, p, k.convert("i32", image + row + column))

            def output(p: Operand, first: Value = first) -> Value:
                return k.convert("index", k.load(indices, p)) if self.strided_output else (first + p) * self.filters

            share = block % self.shares
            if tiles and not self.copies:
                # Tiles are whole. In place, those of an incomplete block would reach beyond the images.
                with k.when(count >= self.pixels) as branch:
                    product.emit(left, count, output, share)
                with k.otherwise(branch):
                    copy(k, left, rows, 0, count * self.depth, target.lanes)
                    product.emit(rows, count, output, share)
            else:
                product.emit(left, count, output, share)
        return k.kernel()


@dataclass(frozen=True)
class _Geometry:
    """The words that define how output pixels and windows are related."""

    height: Value
    width: Value
    out_height: Value
    out_width: Value
    stride: Value
    dilation: Value
    top: Value
    left: Value

    def position(self, pixel: Value) -> tuple[Value, Value, Value]:
        """Return (image, row, column) of output pixel number `pixel`."""
        in_image = pixel % (self.out_height * self.out_width)
        return pixel // (self.out_height * self.out_width), in_image // self.out_width, in_image % self.out_width


@dataclass(frozen=True)
class _Windows:
    """Copies the numbers under windows, with zeros outside the image."""

    spec: ConvPacked
    k: Builder
    lanes: int
    x: Pointer
    geometry: _Geometry

    def copy(self, target: Pointer, pixel: Value) -> None:
        """Copy the numbers under the window of output pixel number `pixel` to `target`."""
        k, window, at = self.k, self.spec.window, self.geometry
        image, row, column = at.position(pixel)
        y, x = row * at.stride - at.top, column * window.stride - at.left
        span = 1 if window.dilation > 1 else window.width
        length = span * window.channels
        for r in loop_or_unroll(k, 0, k.constant(self.spec.height, pixel.kind)):
            row = y + r * at.dilation
            for s in loop_or_unroll(k, 0, k.constant(window.width // span, pixel.kind)):
                column = x + s * window.dilation
                source = k.offset(self.x, ((image * at.height + row) * at.width + column) * window.channels)
                run = k.offset(target, (r * (window.width // span) + s) * length)
                is_inside = (row >= 0) & (row < at.height) & (column >= 0) & (column + span <= at.width)
                with k.when(is_inside) as branch:
                    copy_constant(k, source, run, length, self.lanes)
                with k.otherwise(branch):
                    self._copy_border(source, run, (row >= 0) & (row < at.height), column, span)

    def _copy_border(self, source: Pointer, target: Pointer, row_inside: Value, column: Value, span: int) -> None:
        """Copy `span` pixels one by one, with zeros for those outside the image."""
        k, channels = self.k, self.spec.window.channels
        with k.loop(0, span) as i:
            is_inside = row_inside & (column + i >= 0) & (column + i < self.geometry.width)
            pixel, destination = k.offset(source, i * channels), k.offset(target, i * channels)
            with k.when(is_inside) as branch:
                copy_constant(k, pixel, destination, channels, self.lanes)
            with k.otherwise(branch):
                for c, n in vector_loop(k, channels, self.lanes):
                    k.store(destination, c, k.broadcast(0.0, self.lanes), n)


@dataclass(frozen=True)
class _Product:
    """Multiplies the rows of a block by the panels of `u`."""

    spec: ConvPacked
    k: Builder
    target: Target
    u: Pointer
    epilogue: BoundEpilogue

    def emit(self, left: Pointer, count: Value, output: Callable[[Operand], Value], share: Value) -> None:
        """Multiply `count` rows; `output(p)` is the element of the first output of the block's pixel p."""
        k, spec = self.k, self.spec
        max_rows = max_panel_rows(self.target)
        panels_per_share = -(-panel_count(spec.filters, self.target) // spec.shares)
        limits = None if spec.shares == 1 else (share * panels_per_share, share * panels_per_share + panels_per_share)
        for number, columns in panel_loop(k, spec.filters, self.target.lanes, limits):
            right = k.offset(self.u, number * (spec.depth * (2 * self.target.lanes)))
            panel = _Panel(self, left, output, number, right, columns)
            if spec.uses_tiles(self.target):
                with k.loop(0, count, BLOCK_ROWS) as start:
                    panel.block(start, k.minimum(BLOCK_ROWS, count - start))
                continue
            with k.when(count >= spec.pixels) as branch:
                for row, rows in row_loop(k, row_ranges(spec.pixels, max_rows)):
                    panel.tile(row, rows)
            with k.otherwise(branch):
                main_end = count // max_rows * max_rows
                with k.loop(0, main_end, max_rows) as row:
                    panel.tile(row, max_rows)
                with k.loop(main_end, count) as row:
                    panel.tile(row, 1)


@dataclass(frozen=True)
class _Panel:
    """One panel of the product: filters `columns` of panel `number`, with the weights `right`."""

    product: _Product
    left: Pointer
    output: Callable[[Operand], Value]
    number: Operand
    right: Pointer
    columns: ColumnRange

    def tile(self, row: Operand, rows: int) -> None:
        """Emit a register tile of `rows` pixels from `row` on."""
        k, spec, epilogue, target = self.product.k, self.product.spec, self.product.epilogue, self.product.target
        width = 2 * target.lanes
        sums = Tile(k, target, rows, self.columns)
        start, outputs = k.offset(self.left, row * spec.depth), [self.output(row + r) for r in range(rows)]
        start, right, length = start.of(spec.lane), self.right.of(spec.lane), spec.row_words
        # What the next tile reads at its end; the next tile of strided outputs may be anywhere, so it is this one's.
        prefetched_rows = min(rows, length) if epilogue.reads_arrays else 0
        steps = ((0, prefetched_rows), (prefetched_rows, length))
        for first, last in (limits for limits in steps if limits[0] < limits[1]):
            with k.loop(first, last) as i:

                def numbers(r: int, i: Value = i) -> Value:
                    return k.load(start, i + r * length)

                if first < prefetched_rows:
                    self._prefetch_output(self.output(row + i) + (0 if spec.strided_output else rows * spec.filters))
                if spec.prefetches:
                    self._prefetch(start, rows, i)
                sums.accumulate(numbers, right, i * width)
        for r, output in enumerate(outputs):
            for j, count in enumerate(sums.lane_counts()):
                column = self.number * width + j * target.lanes
                epilogue.store(sums.value(r, j), output + column, column, count)

    def block(self, row: Value, rows: Value) -> None:
        """Multiply a block of tiles from pixel `row` on, and store `rows` of its rows."""
        k, spec, lanes = self.product.k, self.product.spec, self.product.target.lanes
        words = spec.pixels * (spec.row_words + spec.strided_output)
        sums, left = k.offset(k.scratch, words), self.left.of(PAIR)

        def place(group: int, step: Value) -> tuple[Pointer, Operand]:
            return left, (row + group * TILE_ROWS) * spec.row_words + step * TILE_ROWS

        steps = spec.row_words // TILE_ROWS
        multiply_block(k, place, spec.row_words, self.right.of(PAIR), steps, sums, groups=2)
        with k.loop(0, rows) as r:
            output = self.output(row + r)
            for j, count in enumerate(self.columns.lane_counts(lanes)):
                column = self.number * COLUMNS + j * lanes
                value = k.load(sums, r * COLUMNS + j * lanes, lanes)
                self.product.epilogue.store(value, output + column, column, count)

    def _prefetch(self, start: Pointer, rows: int, i: Value) -> None:
        """Prefetch the pixels of the next block that correspond to step `i` of this tile, an equal share with every
        panel.

        A tile reads its rows in parallel, and hardware prefetchers follow a single stream better than several. Steps
        take a line each, because many prefetches at once would wait for each other, and the product for them.
        """
        spec, k = self.product.spec, self.product.k
        step = -(-rows // panel_count(spec.filters, self.product.target))
        k.prefetch(start, (self.number * spec.row_words + i) * step + spec.pixels * spec.row_words)

    def _prefetch_output(self, output: Value) -> None:
        """Prefetch what the epilogue reads and writes from element `output` on."""
        target = self.product.target
        for line in range(0, self.columns.width(target.lanes), CACHE_LINE):
            self.product.epilogue.prefetch(output + self.number * (2 * target.lanes) + line)
