"""The weight gradient of a convolution, tap by tap: for wide layers, any kernel, stride and dilation.

For one tap of the kernel, `dw[c, k] = Σ x[pixel under the tap, c] · g[pixel, k]` is a matrix product whose
operands lie in memory as they are needed. A block owns some channels of one tap, so that blocks need no
partial sums unless there are too few of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from opsin.kernels.conv import Window, first_inside, first_outside
from opsin.kernels.spec import KernelSpec
from opsin.kernels.tile import Columns, Tile, columns, most_rows, over_columns, over_rows, split
from opsin.loops import Buffer, Builder, Kernel, Operand, Target, Value

DEPTH = 96
"""Pixels that a register tile sums before it is put away."""


@dataclass(frozen=True)
class _Place:
    """Where a tap reads: picture, shift, and the sizes to find a pixel's place by."""

    picture: Value
    y: Value
    x: Value
    height: Value
    width: Value
    out_height: Value
    out_width: Value
    stride: Value


@dataclass(frozen=True)
class ConvWeightTaps(KernelSpec):
    """Blocks of `rows` channels of one tap, for one part of the pictures.

    Arguments: x (N H W C), g (N OH OW K), result (parts × kh kw C K); N, H, W, OH, OW, kh, stride and dilation
    down, top, left, pictures a part. Blocks: parts × kh × kw × C / rows.
    """

    window: Window
    filters: int
    rows: int

    def build(self, target: Target) -> Kernel:
        k = Builder("conv_weight_taps")
        x, g, result = k.buffer("x"), k.buffer("g"), k.buffer("result")
        names = ("N", "H", "W", "OH", "OW", "kh", "sh", "dh", "top", "left", "pictures")
        number, height, width, out_height, out_width, kernel, stride, dilation, top, left, pictures = map(
            k.index, names
        )
        window = self.window
        shares = window.channels // self.rows
        with k.loop(k.begin, k.end) as block:
            share, tap = block % shares, block // shares
            s, r = tap % window.width, tap // window.width % kernel
            part = tap // (window.width * kernel)
            into = k.offset(result, (tap * window.channels + share * self.rows) * self.filters)
            with k.loop(0, self.rows * self.filters) as i:
                k.store(into, i, k.spread(0.0, 1))
            y, x0 = r * dilation - top, s * window.dilation - left
            rows = _range(k, y, stride, height, out_height)
            extent = _range(k, x0, k.constant(window.stride, s.kind), width, out_width)
            source = k.offset(x, share * self.rows)
            high = k.maximum(1, k.constant(DEPTH, s.kind) // k.maximum(1, extent[1] - extent[0]))
            with (
                k.loop(part * pictures, k.minimum(number, (part + 1) * pictures)) as n,
                k.loop(rows[0], rows[1], high) as row,
            ):
                place = _Place(n, y, x0, height, width, out_height, out_width, stride)
                self._sum(k, target, source, g, into, place, (row, k.minimum(rows[1], row + high)), extent)
        return k.kernel()

    def _sum(
        self,
        k: Builder,
        target: Target,
        x: Buffer,
        g: Buffer,
        into: Buffer,
        place: _Place,
        rows: tuple[Value, Value],
        extent: tuple[Value, Value],
    ) -> None:
        window = self.window

        def tile(at: Operand, size: int, column: Operand, run: Columns) -> None:
            sums = Tile(k, target, size, run)
            with k.loop(*rows) as row:
                over = (place.picture * place.height + row * place.stride + place.y) * place.width + place.x
                under = (place.picture * place.out_height + row) * place.out_width
                line = k.offset(x, over * window.channels + at)
                with k.loop(*extent) as c:
                    pixel = c * (window.stride * window.channels)
                    sums.accumulate(lambda i: k.load(line, pixel + i), g, (under + c) * self.filters + column)
            sums.put(into, at * self.filters + column, self.filters, add=True)

        def across(column: Operand, run: Columns) -> None:
            over_rows(k, split(self.rows, most_rows(self.filters, target)), lambda at, n: tile(at, n, column, run))

        over_columns(k, columns(self.filters, target), target.lanes, across)


def _range(k: Builder, shift: Value, stride: Value, limit: Value, count: Value) -> tuple[Value, Value]:
    """The outputs i with 0 ≤ i · stride + shift < limit."""
    return first_inside(k, shift, stride), first_outside(k, shift, stride, limit, count)
