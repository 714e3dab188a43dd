"""Direct convolution: a matrix product whose left operand is the image itself.

In NHWC the numbers under one row of the convolution's kernel are contiguous runs of `kw · C` elements. The sum over a
window is therefore `kh` runs in a register tile, and adjacent output pixels are `stride · C` elements apart. Nothing is
unfolded. Rows outside the image are skipped. For columns outside it, the rows of a block are copied to scratch memory,
between zeros.

The input gradient of a convolution of stride 1 is the same computation on the output's gradient, with the kernel
rotated by 180° and its channels exchanged. For larger strides, zeros are first inserted into the gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from opsin.kernels.ir import F32, I8, Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.row_form import RowForm
from opsin.kernels.row_order import RowOrder
from opsin.kernels.spec import KernelSpec, Signature, clear, copy
from opsin.kernels.summation import CHANNEL, COLUMN, ROW, Summation
from opsin.kernels.tile import (
    PLAIN,
    BoundEpilogue,
    ColumnRange,
    Epilogue,
    Tile,
    column_loop,
    column_ranges,
    max_rows,
    row_loop,
    row_ranges,
)

MARGIN_WORDS = ("pad_left", "skip", "copied", "padded_width")
"""The arguments of `Margin`, in order."""
MAX_UNROLLED_ELEMENTS = 8
"""Runs of up to this many numbers are unrolled."""
MAX_UNROLLED_PRODUCTS = 112
"""Vector products of an unrolled run. Of more, LLVM keeps numbers that several products share, and spills sums."""


def windows(
    x: np.ndarray, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int],
    padding: tuple[int, int], out_size: tuple[int, int],
) -> np.ndarray:  # fmt: skip
    """Return the windows of images N × H × W × C as N × OH × OW × C × kh × kw; `padding` is at the top and left."""
    reach = [(n - 1) * s + (taps - 1) * d + 1 for n, s, taps, d in zip(out_size, stride, kernel, dilation, strict=True)]
    border = [(before, max(0, r - before - size)) for before, r, size in zip(padding, reach, x.shape[1:3], strict=True)]
    spans = [(taps - 1) * d + 1 for taps, d in zip(kernel, dilation, strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(np.pad(x, [(0, 0), *border, (0, 0)]), spans, (1, 2))
    (sh, sw), (dh, dw), (height, width) = stride, dilation, out_size
    return view[:, ::sh, ::sw, :, ::dh, ::dw][:, :height, :width]


@dataclass(frozen=True)
class ConvWindow:
    """How a convolution reads a row of its input: `channels` of a group, `groups`, kernel width, stride and
    dilation."""

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
        """Contiguous runs under one row of the kernel."""
        return 1 if self.groups == 1 and self.dilation == 1 else self.width

    @property
    def run(self) -> int:
        """Elements of a run."""
        return self.channels * self.width // self.runs


@dataclass(frozen=True)
class Margin:
    """The words that define a padded row: `pad_left` zeros, the `copied` pixels from pixel `skip` on, and zeros up to
    `padded_width` pixels."""

    pad_left: Value
    skip: Value
    copied: Value
    padded_width: Value


class ConvInput:
    """The images as the blocks of a kernel read them: in place, or as rows of `element`s padded on the left and
    right."""

    def __init__(
        self, k: Builder, window: ConvWindow, source: Pointer, height: Value, width: Value, element: str = F32
    ) -> None:
        self.k, self.window, self.source = k, window, source
        self.height, self.width, self.rows = height, width, k.scratch.of(element)

    def in_place(self, number: Operand) -> tuple[Pointer, Operand]:
        """Return image `number` as (pointer, elements of a row)."""
        row = self.width * self.window.pixel
        return self.k.offset(self.source, number * self.height * row), row

    def padded(
        self, number: Operand, rows: tuple[Operand, Operand], margin: Margin, lanes: int, zero: Operand = 0
    ) -> tuple[Pointer, Operand]:
        """Copy the rows from `rows[0]` up to `rows[1]` to scratch memory and pad them with `zero`.

        Rows of whole numbers may be outside of the image: they are padding, too. Returns (pointer to where row 0 would
        be, elements of a row).
        """
        k, pixel = self.k, self.window.pixel
        first, last = rows
        source, row = self.in_place(number)
        padded_row = margin.padded_width * pixel
        before, copy_size = margin.pad_left * pixel, margin.copied * pixel
        with k.loop(first, last) as y:
            target = k.offset(self.rows, (y - first) * padded_row)

            def copy_row(y: Value = y, target: Pointer = target) -> None:
                clear(k, target, 0, before, lanes, zero)
                copy(k, k.offset(source, y * row + margin.skip * pixel), k.offset(target, before), 0, copy_size, lanes)
                clear(k, target, before + copy_size, padded_row, lanes, zero)

            if self.source.element == I8:
                with k.when((y >= 0) & (y < self.height)) as branch:
                    copy_row()
                with k.otherwise(branch):
                    clear(k, target, 0, padded_row, lanes, zero)
            else:
                copy_row()
        return k.offset(self.rows, 0 - first * padded_row), padded_row


def rows_read(
    k: Builder, rows: tuple[Value, Value], stride: Value, top: Value, taps: tuple[Value, Value], height: Value | None
) -> tuple[Value, Value]:
    """Return the rows (first, past the last) that output `rows` read; `taps` are (count, dilation).

    They are those inside the image, or, if `height` is None, also those of the padding.
    """
    (first, last), (count, dilation) = rows, taps
    low, high = first * stride - top, (last - 1) * stride - top + (count - 1) * dilation + 1
    return (low, high) if height is None else (k.maximum(0, low), k.minimum(height, high))


def first_inside(k: Builder, start: Operand, step: Value) -> Value:
    """Return the first whole `i ≥ 0` with `start + i · step ≥ 0`."""
    return k.maximum(0, (0 - start + step - 1) // step)


def first_outside(k: Builder, start: Operand, step: Value, limit: Operand, count: Operand) -> Value:
    """Return the first whole `i ≥ 0` with `start + i · step ≥ limit`, but at most `count`."""
    return k.maximum(0, k.minimum(count, (limit - start + step - 1) // step))


def taps_inside(k: Builder, start: Value, step: Value, limit: Value, taps: Value) -> tuple[Value, Value]:
    """Return the range (first, past the last) of taps `i` with `0 ≤ start + i · step < limit`.

    It divides only at borders.
    """
    first, last = k.register(k.constant(0, step.kind)), k.register(taps)
    with k.when((start < 0) | (start + (taps - 1) * step >= limit)):
        first.set(first_inside(k, start, step))
        last.set(first_outside(k, start, step, limit, taps))
    return first.get(), last.get()


def one_row(spec: KernelSpec, words: Sequence[int], fill: float | int, pixel: int | None) -> RowForm:
    """Return the form of a convolution with the words of `Conv2d` that computes one row.

    Rows that are padded in scratch have pixels of `pixel` words, if those are float32.
    """
    _, width, out_height, taps, stride, dilation, top, *margin = words[:11]
    span = (taps - 1) * dilation + 1
    row_words = (span, width, 1, taps, stride, dilation, 0, *margin, 1, 1, *words[13:])
    scratch = None if pixel is None else span * margin[3] * pixel
    return RowForm(spec, row_words, 1, out_height, span, stride, top, fill, scratch=scratch)


@dataclass(frozen=True)
class Conv2d(KernelSpec):
    """`y = epilogue(x ∗ w)`: `filters` outputs of each group, `out_width` pixels in a row.

    `x` is N × H × W × C, `w` is kh × kw × C/groups × K; `top` is the padding above the image. The words of `Margin` are
    unused unless the rows are `padded`. The epilogue's arrays are N × OH × OW × K. A block is `rows` rows of an image
    with `blocks` blocks. Scratch if `padded`: the rows that a block reads × padded width × channels.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "w"), ("H", "W", "OH", "kh", "sh", "dh", "top", *MARGIN_WORDS, "rows", "blocks"), epilogue=True
    )

    window: ConvWindow
    filters: int
    out_width: int
    padded: bool
    epilogue: Epilogue = PLAIN

    def summation(self, words: Sequence[int], target: Target) -> Summation:
        return Summation((ROW, COLUMN, CHANNEL))

    def row_orders(self, words: Sequence[int]) -> Mapping[int, RowOrder]:
        _, width, out_height, _, stride, _, top = words[:7]
        rows = self.window.pixel * width, self.filters * self.window.groups * self.out_width
        return {0: RowOrder(out_height, stride, top, *rows, words[11], self.padded)}

    def row_form(self, words: Sequence[int], rows: int) -> RowForm | None:
        return one_row(self, words, 0.0, self.window.pixel)

    def build(self, target: Target) -> Kernel:
        k = Builder("conv2d")
        (x, w), words = self.bind(k)
        height, width, out_height, kernel, stride, dilation, top, *margin, rows, blocks = words
        epilogue = self.epilogue.bind(k, self.element)
        images = ConvInput(k, self.window, x, height, width)
        with k.loop(k.begin, k.end) as block:
            number = block // blocks
            first = (block % blocks) * rows
            last = k.minimum(out_height, first + rows)
            if self.padded:
                low, high = rows_read(k, (first, last), stride, top, (kernel, dilation), height)
                source, row = images.padded(number, (low, high), Margin(*margin), target.lanes)
            else:
                source, row = images.in_place(number)
            output_row = _OutputRow(self, k, target, source, row, w, epilogue)
            with k.loop(0, self.window.groups) as group:
                base = group * self.filters
                for column, columns in column_loop(k, column_ranges(self.filters, target), target.lanes):
                    with k.loop(first, last) as y:
                        start = y * stride - top
                        taps = taps_inside(k, start, dilation, height, kernel)
                        output = (number * out_height + y) * self.out_width
                        output_row.emit(group, (base + column, columns), (start, dilation), taps, output)
        return k.kernel()


@dataclass(frozen=True)
class _OutputRow:
    """Emits one output row of `Conv2d` for one tile of filters."""

    spec: Conv2d
    k: Builder
    target: Target
    source: Pointer
    row_size: Operand
    weight: Pointer
    epilogue: BoundEpilogue

    def emit(
        self,
        group: Value,
        filters: tuple[Operand, ColumnRange],
        rows: tuple[Value, Value],
        taps: tuple[Value, Value],
        output: Value,
    ) -> None:
        """`filters` is (first filter, columns of the tile), `rows` is (row under tap 0, dilation), and `taps` the range
        of taps inside the image; `output` is the number of the first output pixel."""
        spec, k = self.spec, self.k
        column, columns = filters
        row_size = spec.filters * spec.window.groups
        for pixel, pixels in row_loop(k, row_ranges(spec.out_width, max_rows(spec.filters, self.target))):
            sums = Tile(k, self.target, pixels, columns)
            self._accumulate(sums, group, column, pixel, rows, taps)
            self._store(sums, output, pixel, row_size, column)

    def _accumulate(
        self,
        sums: Tile,
        group: Value,
        column: Operand,
        pixel: Operand,
        rows: tuple[Value, Value],
        taps: tuple[Value, Value],
    ) -> None:
        k, window = self.k, self.spec.window
        filters = self.spec.filters * window.groups
        start, dilation = rows
        with k.loop(*taps) as r:
            at = (start + r * dilation) * self.row_size + pixel * (window.stride * window.pixel)
            left = k.offset(self.source, at + group * window.channels)
            right = k.offset(self.weight, r * (window.width * window.channels * filters) + column)
            add_window_row(k, window, sums, left, right, filters)

    def _store(self, sums: Tile, output: Value, pixel: Operand, row_size: int, column: Operand) -> None:
        self.epilogue.store_tile(sums, lambda i: (output + pixel + i) * row_size, column)


def add_window_row(k: Builder, window: ConvWindow, sums: Tile, left: Pointer, right: Pointer, filters: int) -> None:
    """Add the products of one row of the kernel: `window.runs` runs of `window.run` elements."""
    step = window.stride * window.pixel

    def add(run: Operand, i: Operand) -> None:
        at = run * (window.dilation * window.pixel) + i
        sums.accumulate(lambda row: k.load(left, at + row * step), right, (run * window.run + i) * filters)

    limit = min(MAX_UNROLLED_ELEMENTS, MAX_UNROLLED_PRODUCTS // (sums.rows * sums.columns.vectors))
    for run in _short_loop(k, window.runs, window.runs * window.run, limit):
        for i in _short_loop(k, window.run, window.run, limit):
            add(run, i)


def _short_loop(k: Builder, count: int, work: int, limit: int) -> Iterator[Operand]:
    """Yield the numbers up to `count`, unrolled if there is one or the `work` is at most `limit`."""
    if count == 1 or work <= limit:
        yield from range(count)
    else:
        with k.loop(0, count) as number:
            yield number
