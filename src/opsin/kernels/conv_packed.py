"""Convolution as a matrix product over packed pixels: for wide layers, any kernel, stride and dilation.

A block of output pixels, whatever rows and images they lie in, has the numbers under its windows copied
into scratch memory, one row each (the implicit form of "im2col", Chellapilla et al. 2006); the rows are
multiplied by the weights, packed in panels, which every register tile then reads in one stream. The
copy pays where each number is used for many filters. 1×1 convolutions of stride 1 need no copy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.conv import ConvWindow
from opsin.kernels.ir import I32, Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.panels import over_panels, panels
from opsin.kernels.spec import LINE, KernelSpec, Signature, each, over_lanes
from opsin.kernels.tile import PLAIN, BoundEpilogue, ColumnRange, Epilogue, Tile, over_rows, split


def copy_run(k: Builder, source: Pointer, target: Pointer, count: int, lanes: int) -> None:
    """Copies `count` numbers."""
    over_lanes(k, count, lanes, lambda i, n: k.store(target, i, k.load(source, i, lanes, n), n))


@dataclass(frozen=True)
class ConvPacked(KernelSpec):
    """`y = epilogue(x ∗ w)` for one group.

    Arguments: x (N H W C), u (the weights kh kw C × K of `PackPanels`); H, W, OH, OW, stride and dilation down, top,
    left, count (N · OH · OW); where `spread`, the distances in the epilogue's arrays between images, rows and
    columns of the output; the epilogue's, on arrays N OH OW K. A block is `pixels` output pixels, for one of
    `shares` shares of the panels, which go fastest. `ahead`: pixels of the next block, where they need no copy, are
    brought near during this one. Scratch: see `scratch`.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "u"), ("H", "W", "OH", "OW", "sh", "dh", "top", "left", "count", "*out_strides"), epilogue=True
    )

    window: ConvWindow
    height: int
    filters: int
    pixels: int
    copies: bool
    spread: bool = False
    shares: int = 1
    ahead: bool = False
    epilogue: Epilogue = PLAIN

    @property
    def depth(self) -> int:
        """Numbers under a window."""
        return self.height * self.window.width * self.window.channels

    def scratch(self, target: Target) -> int:
        """Elements of scratch memory: the numbers under each window, and where each output goes."""
        return self.pixels * (self.depth * self.copies + self.spread) + target.lanes

    def build(self, target: Target) -> Kernel:
        k = Builder("conv_packed")
        x, u = k.buffer("x"), k.buffer("u")
        sizes = [k.index(n) for n in ("H", "W", "OH", "OW", "sh", "dh", "top", "left")]
        total = k.index("count")
        steps = [k.index(n) for n in ("image_step", "row_step", "column_step")] if self.spread else []
        epilogue = self.epilogue.bind(k)
        places = Pointer(k.offset(k.scratch, self.pixels * self.depth * self.copies).address, I32)
        with k.loop(k.begin, k.end) as block:
            first = block // self.shares * self.pixels
            count = k.minimum(self.pixels, total - first)
            if self.copies:
                with k.loop(0, count) as p:
                    self._copy(k, target.lanes, x, k.offset(k.scratch, p * self.depth), sizes, first + p)
                left = k.scratch
            else:
                left = k.offset(x, first * self.depth)
            if self.spread:
                with k.loop(0, count) as p:
                    image, row, column = (i * n for i, n in zip(_indices(first + p, sizes), steps, strict=True))
                    k.store(places, p, k.convert("i32", image + row + column))

            def at(p: Operand, first: Value = first) -> Value:
                return k.convert("index", k.load(places, p)) if self.spread else (first + p) * self.filters

            self._multiply(k, target, left, u, count, at, epilogue, block % self.shares)
        return k.kernel()

    def _copy(self, k: Builder, lanes: int, x: Pointer, into: Pointer, sizes: list[Value], pixel: Value) -> None:
        """The numbers under the window of output pixel number `pixel`."""
        height, width, _, _, stride, dilation, top, left = sizes
        window = self.window
        image, row, column = _indices(pixel, sizes)
        y, x0 = row * stride - top, column * window.stride - left
        span = 1 if window.dilation > 1 else window.width
        length = span * window.channels
        for r in each(k, 0, k.constant(self.height, pixel.kind)):
            row = y + r * dilation
            for s in each(k, 0, k.constant(window.width // span, pixel.kind)):
                column = x0 + s * window.dilation
                source = k.offset(x, ((image * height + row) * width + column) * window.channels)
                target = k.offset(into, (r * (window.width // span) + s) * length)
                inside = (row >= 0) & (row < height) & (column >= 0) & (column + span <= width)
                with k.when(inside) as case:
                    copy_run(k, source, target, length, lanes)
                with k.otherwise(case):
                    self._border(k, lanes, source, target, (row >= 0) & (row < height), column, width, span)

    def _border(
        self,
        k: Builder,
        lanes: int,
        source: Pointer,
        into: Pointer,
        row_inside: Value,
        column: Value,
        width: Value,
        span: int,
    ) -> None:
        """Pixel by pixel, zeros outside the image."""
        channels = self.window.channels
        with k.loop(0, span) as i:
            there = row_inside & (column + i >= 0) & (column + i < width)
            pixel, target = k.offset(source, i * channels), k.offset(into, i * channels)
            with k.when(there) as case:
                copy_run(k, pixel, target, channels, lanes)
            with k.otherwise(case):
                over_lanes(k, channels, lanes, lambda c, n: k.store(target, c, k.spread(0.0, lanes), n))

    def _prefetch(self, k: Builder, start: Pointer, rows: int, panel: Operand, panels: int) -> None:
        """Brings near the next block's pixels at the place of this tile's `rows`: a share with every panel.

        A tile reads its rows side by side, which processors do not foresee as they do a single line.
        """
        share = -(-rows * self.depth // (LINE * panels))
        for line in range(share):
            k.prefetch(start, self.pixels * self.depth + (panel * share + line) * LINE)

    def _multiply(
        self,
        k: Builder,
        target: Target,
        left: Pointer,
        u: Pointer,
        count: Value,
        at: Callable[[Operand], Value],
        epilogue: BoundEpilogue,
        share: Value,
    ) -> None:
        """`at` gives the element where the output of a pixel of the block begins."""
        lanes, most = target.lanes, (target.registers - 3) // 2
        pair = 2 * lanes

        def tile(row: Operand, size: int, number: Operand, right: Pointer, run: ColumnRange) -> None:
            sums = Tile(k, target, size, run)
            start, places = k.offset(left, row * self.depth), [at(row + r) for r in range(size)]
            for place in places if epilogue.reads else ():
                epilogue.prefetch(place + number * pair)
            if self.ahead:
                self._prefetch(k, start, size, number, panels(self.filters, target))
            with k.loop(0, self.depth) as i:
                sums.accumulate(lambda r: k.load(start, i + r * self.depth), right, i * pair)
            for r, place in enumerate(places):
                for j, width in enumerate(sums.counts()):
                    column = number * pair + j * lanes
                    epilogue.store(sums.value(r, j), place + column, column, width)

        def panel(number: Operand, run: ColumnRange) -> None:
            right = k.offset(u, number * (self.depth * pair))
            with k.when(count >= self.pixels) as full:
                over_rows(k, split(self.pixels, most), lambda row, size: tile(row, size, number, right, run))
            with k.otherwise(full):
                done = count // most * most
                with k.loop(0, done, most) as row:
                    tile(row, most, number, right, run)
                with k.loop(done, count) as row:
                    tile(row, 1, number, right, run)

        own = -(-panels(self.filters, target) // self.shares)
        between = None if self.shares == 1 else (share * own, share * own + own)
        over_panels(k, self.filters, lanes, panel, between)


def _indices(pixel: Value, sizes: list[Value]) -> tuple[Value, Value, Value]:
    """(image, row, column) of output pixel number `pixel`."""
    _, _, out_height, out_width, *_ = sizes
    place = pixel % (out_height * out_width)
    return pixel // (out_height * out_width), place // out_width, place % out_width
