"""Convolution, direct: a matrix product whose left operand is the image itself.

In NHWC the numbers under one row of the kernel lie in one run of `kw · C` elements, so the sum
over a window is `kh` runs of a register tile, with neighbouring output pixels `stride · C`
elements apart. Nothing is unfolded. Rows outside the image are skipped; columns outside it are
supplied by copying the rows of a block into scratch memory between zeros.

The input gradient of a convolution of stride 1 is the same computation on the output's gradient,
with the kernel turned by 180° and its channels exchanged; for larger strides the gradient is first
spread out with zeros between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.ir import Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.spec import KernelSpec, Signature, clear, copy
from opsin.kernels.tile import (
    PLAIN,
    BoundEpilogue,
    ColumnRange,
    Epilogue,
    Tile,
    columns,
    most_rows,
    over_columns,
    over_rows,
    split,
)

MARGIN_WORDS = ("pad_left", "skip", "copied", "padded_width")
"""The arguments of `Margin`, in order."""
UNROLL = 8
"""Runs up to this long are unrolled while building."""


@dataclass(frozen=True)
class ConvWindow:
    """How a convolution reads its input: `channels` a group, `groups`, kernel width, step and spacing along a row."""

    channels: int
    groups: int
    width: int
    stride: int
    dilation: int

    @property
    def pixel(self) -> int:
        """Elements of one input pixel."""
        return self.channels * self.groups

    @property
    def runs(self) -> int:
        """Runs of neighbouring numbers under one row of the kernel."""
        return 1 if self.groups == 1 and self.dilation == 1 else self.width

    @property
    def run(self) -> int:
        """Numbers in a run."""
        return self.channels * self.width // self.runs


@dataclass(frozen=True)
class Margin:
    """How a padded row is made: `left` zeros, `held` pixels from pixel `skip` on, zeros up to `width` pixels."""

    left: Value
    skip: Value
    held: Value
    width: Value

    @staticmethod
    def bind(k: Builder) -> Margin:
        """Declares the four arguments, in this order."""
        return Margin(*(k.index(name) for name in MARGIN_WORDS))


class ConvInput:
    """The rows of one input image, padded left and right if need be, as seen by a block."""

    def __init__(self, k: Builder, window: ConvWindow, source: Pointer, height: Value, width: Value) -> None:
        self.k, self.window, self.source = k, window, source
        self.height, self.width = height, width

    def plain(self, number: Operand) -> tuple[Pointer, Operand]:
        """Image `number` as it lies: (buffer, elements a row)."""
        row = self.width * self.window.pixel
        return self.k.offset(self.source, number * self.height * row), row

    def padded(
        self, number: Operand, first: Operand, last: Operand, margin: Margin, lanes: int
    ) -> tuple[Pointer, Operand]:
        """Rows `first … last` of it in scratch, where row `first` comes first: (buffer shifted to row 0, row size)."""
        k, pixel = self.k, self.window.pixel
        source, row = self.plain(number)
        padded_row = margin.width * pixel
        before, held = margin.left * pixel, margin.held * pixel
        with k.loop(first, last) as y:
            target = k.offset(k.scratch, (y - first) * padded_row)
            clear(k, target, 0, before, lanes)
            copy(k, k.offset(source, y * row + margin.skip * pixel), k.offset(target, before), 0, held, lanes)
            clear(k, target, before + held, padded_row, lanes)
        return k.offset(k.scratch, 0 - first * padded_row), padded_row


def first_inside(k: Builder, start: Operand, step: Value) -> Value:
    """The first whole `i ≥ 0` with `start + i · step ≥ 0`."""
    return k.maximum(0, (0 - start + step - 1) // step)


def first_outside(k: Builder, start: Operand, step: Value, limit: Operand, most: Operand) -> Value:
    """The first whole `i` (at most `most`) with `start + i · step ≥ limit`."""
    return k.maximum(0, k.minimum(most, (limit - start + step - 1) // step))


def taps_inside(k: Builder, start: Value, step: Value, limit: Value, taps: Value) -> tuple[Value, Value]:
    """The first tap `i` with `start + i · step` from 0 up to `limit`, and past the last; dividing at borders only."""
    first, last = k.register(k.constant(0, step.kind)), k.register(taps)
    with k.when((start < 0) | (start + (taps - 1) * step >= limit)):
        first.set(first_inside(k, start, step))
        last.set(first_outside(k, start, step, limit, taps))
    return first.get(), last.get()


@dataclass(frozen=True)
class Conv2d(KernelSpec):
    """`y = epilogue(x ∗ w)`, `filters` outputs a group, `out_width` pixels a row.

    Arguments: x (N H W C), w (kh kw C/g K); H, W, OH, kh, stride and dilation down, top; the four of
    `Margin` (unused where `padded` is not set); rows a block, blocks an image; then the epilogue's, on
    arrays N OH OW K. A block is some rows of one image. Scratch, where `padded`: the rows a block reads ×
    padded width × channels.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "w"), ("H", "W", "OH", "kh", "sh", "dh", "top", *MARGIN_WORDS, "rows", "blocks"), epilogue=True
    )

    window: ConvWindow
    filters: int
    out_width: int
    padded: bool
    epilogue: Epilogue = PLAIN

    def build(self, target: Target) -> Kernel:
        k = Builder("conv2d")
        x, w = k.buffer("x"), k.buffer("w")
        height, width, out_height, kernel = (k.index(n) for n in ("H", "W", "OH", "kh"))
        stride, dilation, top = (k.index(n) for n in ("sh", "dh", "top"))
        margin = Margin.bind(k)
        rows, blocks = k.index("rows"), k.index("blocks")
        epilogue = self.epilogue.bind(k)
        image = ConvInput(k, self.window, x, height, width)
        with k.loop(k.begin, k.end) as block:
            number = block // blocks
            first = (block % blocks) * rows
            last = k.minimum(out_height, first + rows)
            if self.padded:
                low = k.maximum(0, first * stride - top)
                high = k.minimum(height, (last - 1) * stride - top + (kernel - 1) * dilation + 1)
                source, row = image.padded(number, low, high, margin, target.lanes)
            else:
                source, row = image.plain(number)
            for_group = _Group(self, k, target, source, row, w, epilogue)
            with k.loop(0, self.window.groups) as group:
                base = group * self.filters

                def across(column: Operand, run: ColumnRange) -> None:
                    with k.loop(first, last) as y:
                        start = y * stride - top
                        taps = taps_inside(k, start, dilation, height, kernel)
                        out = (number * out_height + y) * self.out_width
                        for_group.row(group, base + column, run, start, dilation, taps, out)

                over_columns(k, columns(self.filters, target), target.lanes, across)
        return k.kernel()


@dataclass(frozen=True)
class _Group:
    """The inner part of `Conv2d`: one output row of one tile of filters."""

    spec: Conv2d
    k: Builder
    target: Target
    source: Pointer
    row_size: Operand
    weight: Pointer
    epilogue: BoundEpilogue

    def row(
        self,
        group: Value,
        column: Operand,
        run: ColumnRange,
        start: Value,
        dilation: Value,
        taps: tuple[Value, Value],
        out: Value,
    ) -> None:
        spec, k = self.spec, self.k
        filters = spec.filters * spec.window.groups
        most = most_rows(spec.filters, self.target)

        def tile(pixel: Operand, pixels: int) -> None:
            sums = Tile(k, self.target, pixels, run)
            with k.loop(*taps) as r:
                at = (start + r * dilation) * self.row_size + pixel * (spec.window.stride * spec.window.pixel)
                left = k.offset(self.source, at + group * spec.window.channels)
                right = k.offset(self.weight, r * (spec.window.width * spec.window.channels * filters) + column)
                window_row(k, spec.window, sums, left, right, filters)
            for i in range(pixels):
                for j, count in enumerate(sums.counts()):
                    channel = column + j * self.target.lanes
                    self.epilogue.store(sums.value(i, j), (out + pixel + i) * filters + channel, channel, count)

        over_rows(k, split(spec.out_width, most), tile)


def window_row(k: Builder, window: ConvWindow, sums: Tile, left: Pointer, right: Pointer, filters: int) -> None:
    """Adds one row of the kernel: `runs` runs of `run` numbers, against as many rows of the weight."""
    step = window.stride * window.pixel

    def turn(run: Operand, i: Operand) -> None:
        at = run * (window.dilation * window.pixel) + i
        sums.accumulate(lambda row: k.load(left, at + row * step), right, (run * window.run + i) * filters)

    def over_run(run: Operand) -> None:
        if window.run <= UNROLL:
            for number in range(window.run):
                turn(run, number)
        else:
            with k.loop(0, window.run) as i:
                turn(run, i)

    if window.runs == 1:
        over_run(0)
    elif window.runs * window.run <= UNROLL:
        for number in range(window.runs):
            over_run(number)
    else:
        with k.loop(0, window.runs) as each:
            over_run(each)
