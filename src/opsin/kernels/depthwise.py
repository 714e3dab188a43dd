"""Depthwise convolution: each channel is filtered by its own kernel.

Vectors run along the channels, so each tap is one multiply-add of contiguous vectors, without broadcasts or padding. A
tile of some rows of results × some vectors of channels stays in registers while the taps of one kernel column after
another are added. Each number that is loaded is used for all rows of the tile, and whole cache lines are read and
written in sequence. Taps beyond the border are skipped: along the columns of the image at build time, because the rows
that each tile reads are known, and along its rows at run time.

There is little arithmetic for each channel, so it is as important to read the images in the order of memory. A tile has
few rows because rows are often a power of two apart and compete for the same sets of the first-level cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from opsin.kernels.ir import Builder, Kernel, Operand, Pointer, Register, Target, Value
from opsin.kernels.row_form import RowForm
from opsin.kernels.spec import KernelSpec, Signature
from opsin.kernels.summation import COLUMN, ROW, Summation
from opsin.kernels.taps import Axis, TapLoop, TapRun
from opsin.kernels.tile import PLAIN, BoundEpilogue, Epilogue


def reference(x: np.ndarray, w: np.ndarray, rows: Axis, columns: Axis, out_size: tuple[int, int]) -> np.ndarray:
    """Convolve `x` (N × H × W × C) with `w` (kh × kw × C); the result is N × OH × OW × C."""
    y = np.zeros((len(x), *out_size, x.shape[3]))
    for i, j in np.ndindex(out_size):
        for r, p in rows.reads(i, x.shape[1]):
            for s, q in columns.reads(j, x.shape[2]):
                y[:, i, j] += x[:, p, q] * w[r, s]
    return y


@dataclass(frozen=True)
class Schedule:
    """The order of the computation, which affects its speed and not its results."""

    rows: int = 4
    """Tile: rows of results."""
    vectors: int = 2
    """Tile: vectors of channels."""
    channel_block: int | None = None
    """Channels that are computed for a whole image before the next ones; None for all channels."""


@dataclass(frozen=True)
class Cell:
    """A tile of rows in one column, for adjacent channels: vectors of `lane_counts` channels from `channel` on."""

    run: TapRun
    row: Operand
    base: Operand
    column: Value
    taps: TapLoop
    channel: Operand
    lane_counts: tuple[int, ...]


@dataclass(frozen=True)
class DepthwiseSpec(KernelSpec):
    """The fields of the depthwise kernels: `height` rows of `channels` are read for `out_height` rows of results.

    `channel_block` is that of the schedule.
    """

    channels: int
    height: int
    out_height: int
    rows: Axis
    columns: Axis
    channel_block: int | None

    def one_row(self, words: Sequence[int], fill: float | int) -> RowForm:
        """Return the form that computes one row; the first of `words` are W and OW."""
        span = (self.rows.taps - 1) * self.rows.dilation + 1
        spec = replace(self, height=span, out_height=1, rows=replace(self.rows, before=0))
        window = span, self.rows.stride, self.rows.before
        return RowForm(spec, tuple(words), words[1], self.out_height, *window, fill)

    def cells(
        self, k: Builder, lanes: int, schedule: Schedule, columns: tuple[Operand, Value], width: Value
    ) -> Iterator[Cell]:
        """Yield every cell of the result columns `columns` of one image of `width`, in the order of memory."""
        vectors = (lanes,) * schedule.vectors
        for main_range, remainder in self._channel_ranges(k, schedule.vectors * lanes, lanes, schedule.channel_block):
            for run in self.rows.runs(self.height, self.out_height, schedule.rows):
                for row, base in run.loop(k):
                    with k.loop(*columns) as column:
                        taps = self.columns.taps_inside(k, column, width)
                        if main_range:
                            with k.loop(*main_range, schedule.vectors * lanes) as channel:
                                yield Cell(run, row, base, column, taps, channel, vectors)
                        if remainder:
                            first = self.channels - sum(remainder)
                            yield Cell(run, row, base, column, taps, first, remainder)

    def _channel_ranges(
        self, k: Builder, width: int, lanes: int, block: int | None
    ) -> Iterator[tuple[tuple[Operand, Operand] | None, tuple[int, ...]]]:
        """Yield (limits of whole tiles of `width` channels or None, lane counts of the vectors of the remainder)."""
        tail_channels = self.channels % width
        main_end = self.channels - tail_channels
        remainder = tuple(min(lanes, tail_channels - first) for first in range(0, tail_channels, lanes))
        if block is None:
            yield ((0, main_end) if main_end else None), remainder
            return
        with k.loop(0, main_end, block) as first:
            yield (first, k.minimum(main_end, first + block)), ()
        if remainder:
            yield None, remainder


@dataclass(frozen=True)
class Depthwise(DepthwiseSpec):
    """`y = epilogue(x ∗ w)`, channel by channel; with transposed axes, `x` is the gradient of the results.

    `x` is N × height × W × channels, `w` is kh × kw × channels, and the epilogue's arrays are
    N × out_height × OW × channels. A block is one column of the results of one image.
    """

    signature: ClassVar[Signature] = Signature(("x", "w"), ("W", "OW"), epilogue=True)

    epilogue: Epilogue = PLAIN

    def schedule(self) -> Schedule:
        """Return the schedule, which is the same on all targets."""
        return Schedule(channel_block=self.channel_block)

    def summation(self, words: Sequence[int], target: Target) -> Summation:
        return Summation((COLUMN, ROW), descending=(COLUMN,) if self.columns.transposed else ())

    def row_form(self, words: Sequence[int], rows: int) -> RowForm | None:
        return None if self.rows.transposed else self.one_row(words, 0.0)

    def build(self, target: Target) -> Kernel:
        k = Builder("depthwise")
        (x, w), (width, out_width) = self.bind(k)
        tile = _DepthwiseTile(self, k, target.lanes, w, width, self.epilogue.bind(k, self.element))
        with k.loop(k.begin // out_width, (k.end + out_width - 1) // out_width) as number:
            first = number * out_width
            columns = k.maximum(0, k.begin - first), k.minimum(out_width, k.end - first)
            image = k.offset(x, number * self.height * width * self.channels)
            for cell in self.cells(k, target.lanes, self.schedule(), columns, width):
                source = k.offset(image, cell.base * width * self.channels + cell.channel)
                row = number * self.out_height + cell.row
                at = (row * out_width + cell.column) * self.channels + cell.channel
                row_size = out_width * self.channels
                tile.store(cell, tile.convolve(cell, source), at, row_size)
        return k.kernel()


@dataclass(frozen=True)
class _DepthwiseTile:
    """Emits the code of one cell of `Depthwise`."""

    spec: Depthwise
    k: Builder
    lanes: int
    weights: Pointer
    width: Value
    epilogue: BoundEpilogue

    def convolve(self, cell: Cell, source: Pointer) -> list[list[Register]]:
        """Return the sums, rows × vectors; `source` is the first column of the cell's base row."""
        k, lanes, channels = self.k, self.lanes, self.spec.channels
        vectors = list(enumerate(cell.lane_counts))
        sums = [[k.register(k.broadcast(0.0, lanes)) for _ in vectors] for _ in range(cell.run.size)]
        kernel_row = self.spec.columns.taps * channels
        for tap, column in cell.taps.loop(k):
            pixel = k.offset(source, column * channels)
            weight = k.offset(self.weights, tap * channels + cell.channel)
            weights = {
                (r, j): k.load(weight, r * kernel_row + j * lanes, lanes, n) for r in cell.run.taps for j, n in vectors
            }
            for position in cell.run.positions:
                for j, n in vectors:
                    value = k.load(pixel, self.width * (position * channels) + j * lanes, lanes, n)
                    for i, r in cell.run.readers(position):
                        sums[i][j].set(k.fma(value, weights[r, j], sums[i][j].get()))
        return sums

    def store(self, cell: Cell, sums: list[list[Register]], first: Value, row_size: Value) -> None:
        """Store the sums from element `first` of the results on, rows `row_size` elements apart."""
        for i, row in enumerate(sums):
            for j, n in enumerate(cell.lane_counts):
                at, channel = first + row_size * i + j * self.lanes, cell.channel + j * self.lanes
                self.epilogue.store(row[j].get(), at, channel, n)
