"""The weight gradient of a convolution: `dw[r, s, c, k] = Σ x[n, y·sh + r, x·sw + s, c] · g[n, y, x, k]`.

This is a matrix product, too, reduced over output pixels. The rows of the tile are adjacent numbers under the window,
which are broadcast one by one; its columns are the channels of the gradient, read in place. If the numbers under a row
of the window fill vectors better than the channels do, rows and columns change places. Each block sums its images into
its own array. The arrays are added afterwards, in order, so the result does not depend on which thread computed
what.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.conv import MARGIN_WORDS, ConvInput, ConvWindow, Margin, first_inside, first_outside
from opsin.kernels.ir import Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.spec import KernelSpec, Signature
from opsin.kernels.tile import ColumnRange, Tile, column_loop, column_ranges, max_rows, row_loop, row_ranges


@dataclass(frozen=True)
class Conv2dWeight(KernelSpec):
    """Partial weight gradients, an array kh × kw × C/groups × K for each block.

    `x` is N × H × W × C, `g` is N × OH × OW × K, and `partial` holds the arrays of all blocks. The words of `Margin`
    are unused unless the images are `padded`. A block is `images` images. Scratch if `padded`: a padded image.

    If `transposed`, which one group without dilation allows, the arrays are kh × K × kw · C.

    `gradient_block` elements of `g` are used for all taps before the next ones. Register tiles of fewer than
    `min_accumulators` vectors get a second set of sums.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "g", "partial"), ("N", "H", "W", "OH", "kh", "sh", "dh", "top", *MARGIN_WORDS, "images")
    )

    window: ConvWindow
    filters: int
    out_width: int
    padded: bool
    gradient_block: int
    min_accumulators: int
    transposed: bool = False

    def build(self, target: Target) -> Kernel:
        k = Builder("conv2d_weight")
        (x, g, partial), words = self.bind(k)
        count, height, width, out_height, kernel, stride, dilation, top, *margin, images = words
        filters = self.filters * self.window.groups
        kernel_row = self.window.width * self.window.channels * filters
        size = kernel * kernel_row
        image = ConvInput(k, self.window, x, height, width)
        with k.loop(k.begin, k.end) as block:
            sums = k.offset(partial, block * size)
            with k.loop(0, size) as i:
                k.store(sums, i, k.broadcast(0.0, 1))
            with k.loop(block * images, k.minimum(count, (block + 1) * images)) as number:
                if self.padded:
                    source, row = image.padded(number, (0, height), Margin(*margin), target.lanes)
                else:
                    source, row = image.in_place(number)
                gradient = k.offset(g, number * out_height * self.out_width * filters)
                block_rows = max(1, self.gradient_block // (self.out_width * filters))
                with k.loop(0, out_height, block_rows) as y, k.loop(0, kernel) as r:
                    start = r * dilation - top
                    first = k.maximum(y, first_inside(k, start, stride))
                    last = k.minimum(y + block_rows, first_outside(k, start, stride, height, out_height))
                    tap_source = k.offset(source, start * row)
                    target_row = k.offset(sums, r * kernel_row)
                    _KernelRow(self, k, target, tap_source, row * stride, gradient, (first, last), target_row).emit()
        return k.kernel()


@dataclass(frozen=True)
class _KernelRow:
    """Adds the products for one row of the kernel and the output rows `rows` of one image to `sums`.

    Output row y reads the row `row_size` · y elements after `source`.
    """

    spec: Conv2dWeight
    k: Builder
    target: Target
    source: Pointer
    row_size: Operand
    gradient: Pointer
    rows: tuple[Value, Value]
    sums: Pointer

    def emit(self) -> None:
        window, filters = self.spec.window, self.spec.filters
        if self.spec.transposed:
            self._tiles(filters, window.run, 0, 0)
        elif window.groups == 1 and window.runs == 1:
            self._tiles(window.run, filters, 0, 0)
        else:
            with self.k.loop(0, window.groups) as group, self.k.loop(0, window.runs) as run:
                self._tiles(window.run, filters, group, run)

    def _tiles(self, row_count: int, column_count: int, group: Operand, run: Operand) -> None:
        """Add the products of one contiguous run of the window, a matrix of `row_count` × `column_count`."""
        k, target = self.k, self.target
        for column, columns in column_loop(k, column_ranges(column_count, target), target.lanes):
            for row, rows in row_loop(k, row_ranges(row_count, max_rows(column_count, target))):
                self._tile((row, rows), (column, columns), group, run)

    def _tile(
        self, rows: tuple[Operand, int], columns: tuple[Operand, ColumnRange], group: Operand, run: Operand
    ) -> None:
        """Add the products of `rows` (first, count) and `columns` (first, columns of the tile)."""
        k, spec, window = self.k, self.spec, self.spec.window
        (row, count), (column, vectors) = rows, columns
        sets = 1 if count * vectors.vectors >= spec.min_accumulators or spec.out_width < 2 else 2
        sums = Tile(k, self.target, count, vectors, sets)
        source = k.offset(self.source, run * (window.dilation * window.pixel) + group * window.channels)
        gradient = k.offset(self.gradient, group * spec.filters)
        operands = (gradient, source) if spec.transposed else (source, gradient)
        operands = k.offset(operands[0], row), k.offset(operands[1], column)
        with k.loop(*self.rows) as y:
            with k.loop(0, spec.out_width // sets * sets, sets) as x:
                for number in range(sets):
                    self._pixel(sums, number, y, x + number, operands)
            for x_last in range(spec.out_width // sets * sets, spec.out_width):
                self._pixel(sums, 0, y, x_last, operands)
        row_size = window.run if spec.transposed else spec.filters * window.groups
        at = (run * window.run + row) * row_size + group * spec.filters + column
        sums.store(self.sums, at, row_size, add=True)

    def _pixel(self, sums: Tile, accumulator_set: int, y: Value, x: Operand, operands: tuple[Pointer, Pointer]) -> None:
        """Add the products of output pixel (y, x); `operands` are those of pixel (0, 0), the broadcast one first."""
        spec, (left, right) = self.spec, operands
        places = [
            y * self.row_size + x * (spec.window.stride * spec.window.pixel),
            (y * spec.out_width + x) * (spec.filters * spec.window.groups),
        ]
        left_at, right_at = reversed(places) if spec.transposed else places
        sums.accumulate(lambda i: self.k.load(left, left_at + i), right, right_at, accumulator_set)
