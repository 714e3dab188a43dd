"""The weight gradient of a convolution: `dw[r, s, c, k] = Σ x[n, y·sh + r, x·sw + s, c] · g[n, y, x, k]`.

A matrix product again, reduced over output pixels: the tile's rows are neighbouring numbers under
the window, spread one by one; its columns are the gradient's channels, read where they lie. Each
block sums its own images into an array of its own; the arrays are added afterwards in order, so
that the bits do not depend on who computed what.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.conv import MARGIN_WORDS, ConvInput, ConvWindow, Margin, first_inside, first_outside
from opsin.kernels.ir import Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.spec import KernelSpec, Signature
from opsin.kernels.tile import ColumnRange, Tile, columns, most_rows, over_columns, over_rows, split

INDEPENDENT = 8
"""Sums that must be under way at once to keep two multiply-add units with a latency of four busy."""


NEAR = 16 * 1024
"""Numbers of the output's gradient that are used for every tap before the next ones: they stay in a near cache."""


@dataclass(frozen=True)
class Conv2dWeight(KernelSpec):
    """Partial weight gradients, an array (kh kw C/g K) a block.

    Arguments: x (N H W C), g (N OH OW K), partial (blocks × kh kw C/g K); N, H, W, OH, kh, stride and
    dilation down, top; the four of `Margin`; images a block. Scratch, where `padded`: the image × the
    padded width.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "g", "partial"), ("N", "H", "W", "OH", "kh", "sh", "dh", "top", *MARGIN_WORDS, "images")
    )

    window: ConvWindow
    filters: int
    out_width: int
    padded: bool

    def build(self, target: Target) -> Kernel:
        k = Builder("conv2d_weight")
        x, g, partial = k.buffer("x"), k.buffer("g"), k.buffer("partial")
        count, height, width, out_height, kernel = (k.index(n) for n in ("N", "H", "W", "OH", "kh"))
        stride, dilation, top = (k.index(n) for n in ("sh", "dh", "top"))
        margin = Margin.bind(k)
        images = k.index("images")
        window = self.window
        filters = self.filters * window.groups
        row_of_kernel = window.width * window.channels * filters
        size = kernel * row_of_kernel
        image = ConvInput(k, window, x, height, width)
        with k.loop(k.begin, k.end) as block:
            sums = k.offset(partial, block * size)
            with k.loop(0, size) as i:
                k.store(sums, i, k.spread(0.0, 1))
            with k.loop(block * images, k.minimum(count, (block + 1) * images)) as number:
                if self.padded:
                    source, row = image.padded(number, 0, height, margin, target.lanes)
                else:
                    source, row = image.plain(number)
                gradient = k.offset(g, number * out_height * self.out_width * filters)
                few = max(1, NEAR // (self.out_width * filters))
                with k.loop(0, out_height, few) as y, k.loop(0, kernel) as r:
                    start = r * dilation - top
                    first = k.maximum(y, first_inside(k, start, stride))
                    last = k.minimum(y + few, first_outside(k, start, stride, height, out_height))
                    shifted = k.offset(source, start * row)
                    into = k.offset(sums, r * row_of_kernel)
                    self._row(k, target, shifted, row * stride, gradient, (first, last), into)
        return k.kernel()

    def _row(
        self,
        k: Builder,
        target: Target,
        source: Pointer,
        row: Operand,
        gradient: Pointer,
        rows: tuple[Value, Value],
        into: Pointer,
    ) -> None:
        """One row of the kernel for one image, added to `into`."""
        window = self.window
        filters = self.filters * window.groups

        def tile(at: Operand, size: int, column: Operand, run: ColumnRange, left: Operand) -> None:
            ways = 1 if size * run.vectors >= INDEPENDENT or self.out_width < 2 else 2
            sums = Tile(k, target, size, run, ways)

            def pixel(y: Value, x: Operand, way: int) -> None:
                place = y * row + x * (window.stride * window.pixel) + left
                sums.accumulate(
                    lambda i: k.load(source, place + i), gradient, (y * self.out_width + x) * filters + column, way
                )

            with k.loop(*rows) as y:
                with k.loop(0, self.out_width // ways * ways, ways) as x:
                    for way in range(ways):
                        pixel(y, x + way, way)
                for last in range(self.out_width // ways * ways, self.out_width):
                    pixel(y, last, 0)
            sums.put(into, at * filters + column, filters, add=True)

        def each_run(group: Operand, run_number: Operand) -> None:
            def across(column: Operand, run: ColumnRange) -> None:
                base = run_number * (window.dilation * window.pixel) + group * window.channels
                over_rows(
                    k,
                    split(window.run, most_rows(self.filters, target)),
                    lambda at, size: tile(
                        run_number * window.run + at, size, group * self.filters + column, run, base + at
                    ),
                )

            over_columns(k, columns(self.filters, target), target.lanes, across)

        if window.groups == 1 and window.runs == 1:
            each_run(0, 0)
            return
        with k.loop(0, window.groups) as group, k.loop(0, window.runs) as run_number:
            each_run(group, run_number)
