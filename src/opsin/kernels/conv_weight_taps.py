"""The weight gradient of a convolution, tap by tap: for wide layers, any kernel, stride and dilation.

For one tap of the kernel, `dw[c, k] = Σ x[pixel under the tap, c] · g[pixel, k]` is a matrix product whose
operands are packed some pixels at a time: rows of one pixel after the other would lie so far apart that they would
share a few places of the cache. A block owns some channels of one tap, so that blocks need no partial sums unless
there are too few of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.conv import ConvWindow, first_inside, first_outside
from opsin.kernels.ir import INDEX, Builder, Kernel, Operand, Pointer, ScalarType, Target, Value
from opsin.kernels.panels import over_panels, padded
from opsin.kernels.spec import KernelSpec, Signature, over_lanes
from opsin.kernels.tile import ColumnRange, Tile, over_rows, split

DEPTH = 96
"""Pixels that are packed at a time: a panel of each operand stays in the first-level cache."""


@dataclass(frozen=True)
class ConvWeightTaps(KernelSpec):
    """Blocks of `rows` channels × `columns` filters of one tap, for one part of the images.

    `panel`, which divides `rows`, is how many of them are packed together; `columns` divides the filters. Arguments:
    x (N H W C), g (N OH OW K), result (parts × kh kw C K); N, H, W, OH, OW, kh, stride and dilation
    down, top, left, images a part. Blocks: parts × kh × kw × C / rows × K / columns. Scratch: see `scratch`.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "g", "result"), ("N", "H", "W", "OH", "OW", "kh", "sh", "dh", "top", "left", "images")
    )

    window: ConvWindow
    filters: int
    rows: int
    panel: int
    columns: int

    def scratch(self, target: Target) -> int:
        """Float32 elements of scratch memory: `DEPTH` pixels of both operands."""
        return DEPTH * (self.rows + padded(self.columns, 2 * target.lanes)) + target.lanes

    def build(self, target: Target) -> Kernel:
        k = Builder("conv_weight_taps")
        x, g, result = k.buffer("x"), k.buffer("g"), k.buffer("result")
        names = ("N", "H", "W", "OH", "OW", "kh", "sh", "dh", "top", "left", "images")
        number, height, width, out_height, out_width, kernel, stride, dilation, top, left, images = map(k.index, names)
        window = self.window
        across, shares = self.filters // self.columns, window.channels // self.rows
        with k.loop(k.begin, k.end) as block:
            first, share, tap = block % across * self.columns, block // across % shares, block // (across * shares)
            s, r = tap % window.width, tap // window.width % kernel
            part = tap // (window.width * kernel)
            into = k.offset(result, (tap * window.channels + share * self.rows) * self.filters + first)
            zero = k.spread(0.0, target.lanes)
            with k.loop(0, self.rows) as row:
                line = k.offset(into, row * self.filters)
                over_lanes(k, self.columns, target.lanes, lambda i, n: k.store(line, i, zero, n))
            y, x0 = r * dilation - top, s * window.dilation - left
            rows = _range(k, y, stride, height, out_height)
            columns = _range(k, x0, k.constant(window.stride, s.kind), width, out_width)
            packed = _Packed(k, self, target, k.offset(x, share * self.rows), k.offset(g, first), into)
            with (
                k.loop(part * images, k.minimum(number, (part + 1) * images)) as n,
                k.loop(*rows) as row,
            ):
                over = ((n * height + row * stride + y) * width + x0) * window.channels
                under = (n * out_height + row) * out_width
                packed.take(over, under, columns)
            packed.finish()
        return k.kernel()


class _Packed:
    """Pixels of both operands in scratch memory, multiplied and added to the result whenever there are `DEPTH`."""

    def __init__(self, k: Builder, spec: ConvWeightTaps, target: Target, x: Pointer, g: Pointer, into: Pointer) -> None:
        self.k, self.spec, self.target, self.x, self.g, self.into = k, spec, target, x, g, into
        self.count = k.register(k.constant(0, ScalarType(INDEX)))
        self.left, self.right = k.scratch, k.offset(k.scratch, DEPTH * spec.rows)

    def take(self, over: Value, under: Value, columns: tuple[Value, Value]) -> None:
        """The pixels of one row: of x from element `over` on, of g from pixel `under` on."""
        k, spec, lanes = self.k, self.spec, self.target.lanes
        pair = 2 * lanes
        with k.loop(*columns) as c:
            p = self.count.get()
            pixel = k.offset(self.x, over + c * (spec.window.stride * spec.window.channels))
            left = k.offset(self.left, p * spec.panel)
            for number in range(spec.rows // spec.panel):
                share, into = k.offset(pixel, number * spec.panel), k.offset(left, number * (DEPTH * spec.panel))
                run(k, spec.panel, lanes, share, into)
            gradient, right = k.offset(self.g, (under + c) * spec.filters), k.offset(self.right, p * pair)

            def spread(number: Operand, columns: ColumnRange) -> None:
                share, into = k.offset(gradient, number * pair), k.offset(right, number * (DEPTH * pair))
                run(k, columns.width(lanes), lanes, share, into)

            over_panels(k, spec.columns, lanes, spread)
            self.count.set(p + 1)
            with k.when(p + 1 >= DEPTH):
                self._multiply(k.constant(DEPTH, p.kind))
                self.count.set(0)

    def finish(self) -> None:
        """Multiplies what is left."""
        count = self.count.get()
        with self.k.when(count > 0):
            self._multiply(count)

    def _multiply(self, count: Value) -> None:
        k, spec, target = self.k, self.spec, self.target
        pair = 2 * target.lanes

        def across(number: Operand, run: ColumnRange) -> None:
            right = k.offset(self.right, number * (DEPTH * pair))
            with k.loop(0, spec.rows, spec.panel) as first:
                left = k.offset(self.left, first * DEPTH)

                def tile(at: Operand, size: int) -> None:
                    sums, place = Tile(k, target, size, run), (first + at) * spec.filters + number * pair
                    with k.loop(0, count) as p:
                        sums.accumulate(lambda i: k.load(left, p * spec.panel + at + i), right, p * pair)
                    sums.put(self.into, place, spec.filters, add=True)

                over_rows(k, split(spec.panel, (target.registers - 3) // 2), tile)

        over_panels(k, spec.columns, target.lanes, across)


def run(k: Builder, count: int, lanes: int, source: Pointer, into: Pointer) -> None:
    """Copies `count` numbers, without a loop."""
    for first in range(0, count, lanes):
        n = min(lanes, count - first)
        k.store(into, first, k.load(source, first, lanes, n), n)


def _range(k: Builder, shift: Value, stride: Value, limit: Value, count: Value) -> tuple[Value, Value]:
    """The outputs i with 0 ≤ i · stride + shift < limit."""
    return first_inside(k, shift, stride), first_outside(k, shift, stride, limit, count)
