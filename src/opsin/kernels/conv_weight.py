"""The weight gradient of a convolution: `dw[r, s, c, k] = Σ x[n, y·sh + r, x·sw + s, c] · g[n, y, x, k]`.

This is a matrix product, too, reduced over output pixels. The rows of the tile are adjacent numbers under the window,
which are broadcast one by one; its columns are the channels of the gradient, read in place. Each block sums its images
into its own array. The arrays are added afterwards, in order, so the result does not depend on which thread computed
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

    def build(self, target: Target) -> Kernel:
        k = Builder("conv2d_weight")
        (x, g, partial), words = self.signature.bind(k)
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
        window = self.spec.window
        if window.groups == 1 and window.runs == 1:
            self._run(0, 0)
            return
        with self.k.loop(0, window.groups) as group, self.k.loop(0, window.runs) as run:
            self._run(group, run)

    def _run(self, group: Operand, run: Operand) -> None:
        """Add the products of one contiguous run of the window."""
        k, window, filters, lanes = self.k, self.spec.window, self.spec.filters, self.target.lanes
        for column, columns in column_loop(k, column_ranges(filters, self.target), lanes):
            base = run * (window.dilation * window.pixel) + group * window.channels
            for at, rows in row_loop(k, row_ranges(window.run, max_rows(filters, self.target))):
                row = run * window.run + at
                self._tile((row, rows), (group * filters + column, columns), base + at)

    def _tile(self, rows: tuple[Operand, int], filters: tuple[Operand, ColumnRange], left: Operand) -> None:
        """Add the products of `rows` (first, count) of the weights and `filters` (first, columns of the tile)."""
        k, out_width = self.k, self.spec.out_width
        (at, count), (column, columns) = rows, filters
        row_size = self.spec.filters * self.spec.window.groups
        sets = 1 if count * columns.vectors >= self.spec.min_accumulators or out_width < 2 else 2
        sums = Tile(k, self.target, count, columns, sets)
        with k.loop(*self.rows) as y:
            with k.loop(0, out_width // sets * sets, sets) as x:
                for number in range(sets):
                    self._pixel(sums, number, y, x + number, left, column)
            for x_last in range(out_width // sets * sets, out_width):
                self._pixel(sums, 0, y, x_last, left, column)
        sums.store(self.sums, at * row_size + column, row_size, add=True)

    def _pixel(self, sums: Tile, accumulator_set: int, y: Value, x: Operand, left: Operand, column: Operand) -> None:
        spec = self.spec
        at = y * self.row_size + x * (spec.window.stride * spec.window.pixel) + left
        gradient = (y * spec.out_width + x) * (spec.filters * spec.window.groups) + column
        sums.accumulate(lambda i: self.k.load(self.source, at + i), self.gradient, gradient, accumulator_set)
