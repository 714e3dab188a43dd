"""Depthwise convolution: every channel is filtered by itself, by a kernel of its own.

Vectors run along the channels, so that a tap is one multiply-add of two runs of memory, nothing is spread and
nothing padded. A tile of `ROWS` neighbouring rows by two vectors of channels stays in registers while the taps
of one column after the other are added; each number loaded serves all rows of the tile that it reaches, and
whole cache lines are read and written one behind the other. Taps beyond the border are left out: by rows when
the kernel is built, as every tile knows which rows it reads, and by columns when it runs.

Each channel has little to compute, so reading the images in the order of memory matters as much as the
arithmetic. Few rows at a time keep the streams that have to share a set of the nearest cache few, too: rows are
often a power of two apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import gcd
from typing import ClassVar

from opsin.kernels.ir import Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.spec import KernelSpec, Signature, over_lanes
from opsin.kernels.tile import PLAIN, BoundEpilogue, Epilogue, split

ROWS, VECTORS = 4, 2
"""Results of a tile: rows, and vectors of channels."""
NEAR = 1600
"""Numbers of the kernels of as many channels as are taken at a time, where there are more than `MOST`."""
MOST = 4096
"""Numbers of all kernels up to which they stay in the nearest cache beside the images."""
LINES = 64
"""Channels are taken in multiples of this, so that images are still read in runs of several cache lines."""


@dataclass(frozen=True)
class Axis:
    """How a window of `taps` numbers, `dilation` apart, moves by `stride`, with `before` zeros before the first place.

    A result reads the places under its window. `transposed` is the gradient by what was read: a result then reads
    those windows that reach it, and no zeros are put between them.
    """

    taps: int
    stride: int
    dilation: int
    before: int
    transposed: bool = False

    def base(self, result: int) -> int:
        """A place near those that `result` reads, which moves evenly with it."""
        return result // self.stride if self.transposed else result * self.stride

    def reads(self, result: int, size: int) -> Iterator[tuple[int, int]]:
        """(tap, place read) for each tap of `result` that is inside the `size` places there are."""
        for tap in range(self.taps):
            place, rest = result * self.stride - self.before + tap * self.dilation, 0
            if self.transposed:
                place, rest = divmod(result + self.before - tap * self.dilation, self.stride)
            if rest == 0 and 0 <= place < size:
                yield tap, place

    def runs(self, size: int, results: int) -> list[TapRun]:
        """Tiles of about `ROWS` of the `results`, those that read alike in one run."""
        if self.transposed and self.stride > 1:
            most = max(1, ROWS // self.stride) * self.stride
            sizes = [min(most, results - first) for first in range(0, results, most)]
        else:
            sizes = [rows for tiles, rows in split(results, ROWS) for _ in range(tiles)]
        runs: list[TapRun] = []
        first = 0
        for count in sizes:
            base, step = self.base(first), self.base(first + count) - self.base(first)
            reads = tuple((i, tap, at - base) for i in range(count) for tap, at in self.reads(first + i, size))
            if runs and (runs[-1].size, runs[-1].step, runs[-1].reads) == (count, step, reads):
                runs[-1] = TapRun(runs[-1].first, runs[-1].tiles + 1, count, runs[-1].base, step, reads)
            else:
                runs.append(TapRun(first, 1, count, base, step, reads))
            first += count
        return runs

    def taps_inside(self, k: Builder, result: Value, size: Value) -> Taps:
        """As `reads`, for a result that is known when the kernel runs."""
        if not self.transposed:
            start, step = result * self.stride - self.before, self.dilation
            first = k.maximum(0, (0 - start + (step - 1)) // step)
            return Taps(first, k.minimum(self.taps, (size - start + (step - 1)) // step), 0, 1, start, step)
        common = gcd(self.stride, self.dilation)
        period, back = self.stride // common, self.dilation // common
        reach = result + self.before
        tap = self._first_tap(k, reach)
        place = (reach - tap * self.dilation) // self.stride
        count = (self.taps - tap + (period - 1)) // period
        first = k.maximum(0, (place - size + back) // back)
        return Taps(first, k.minimum(count, (place + back) // back), tap, period, place, -back)

    def _first_tap(self, k: Builder, reach: Value) -> Value:
        """The first tap under which `reach` is a whole number of strides away, or `taps` where there is none."""
        tap = k.constant(self.taps, reach.kind)
        for phase in range(self.stride):
            found = (tap for tap in range(self.taps) if (phase - tap * self.dilation) % self.stride == 0)
            tap = k.select(k.equal(reach % self.stride, phase), next(found, self.taps), tap)
        return tap


@dataclass(frozen=True)
class TapRun:
    """`tiles` tiles of `size` results each, from result `first` on.

    `reads`: (result of the tile, tap, place read counted from the tile's base); the base of the first tile is
    `base`, and every further one is `step` places on.
    """

    first: int
    tiles: int
    size: int
    base: int
    step: int
    reads: tuple[tuple[int, int, int], ...]

    @property
    def taps(self) -> list[int]:
        return sorted({tap for _, tap, _ in self.reads})

    @property
    def places(self) -> list[int]:
        return sorted({place for _, _, place in self.reads})

    def at(self, place: int) -> list[tuple[int, int]]:
        """(result, tap) wherever `place` is read."""
        return [(result, tap) for result, tap, read in self.reads if read == place]

    def each(self, k: Builder) -> Iterator[tuple[Operand, Operand]]:
        """The first result and the base of every tile."""
        if self.tiles == 1:
            yield self.first, self.base
        else:
            with k.loop(0, self.tiles) as tile:
                yield tile * self.size + self.first, tile * self.step + self.base


@dataclass(frozen=True)
class Taps:
    """Turns `first … last` of a loop: turn t is tap `tap + t · tap_step`, at place `place + t · place_step`."""

    first: Value
    last: Value
    tap: Operand
    tap_step: int
    place: Value
    place_step: int

    def each(self, k: Builder) -> Iterator[tuple[Value, Value]]:
        """(tap, place) of every turn."""
        with k.loop(self.first, self.last) as turn:
            yield turn * self.tap_step + self.tap, turn * self.place_step + self.place


@dataclass(frozen=True)
class OutputCell:
    """One tile of rows at one column, for neighbouring channels: `counts` lanes of vectors from `channel` on."""

    run: TapRun
    row: Operand
    base: Operand
    column: Value
    taps: Taps
    channel: Operand
    counts: tuple[int, ...]


@dataclass(frozen=True)
class _Depthwise(KernelSpec):
    """What the kernels share: `height` rows of `channels` are read for `out_height` rows of results."""

    channels: int
    height: int
    out_height: int
    rows: Axis
    columns: Axis

    def _segments(self, vectors: int, lanes: int) -> tuple[int, tuple[int, ...]]:
        """Channels in whole groups of `vectors`, and the lanes of the vectors that are left."""
        left = self.channels % (vectors * lanes)
        return self.channels - left, tuple(min(lanes, left - done) for done in range(0, left, lanes))

    def _walk(
        self,
        k: Builder,
        columns: tuple[Operand, Value],
        width: Value,
        vectors: int,
        lanes: int,
        visit: Callable[[OutputCell], None],
    ) -> None:
        """Visits every cell of the columns given, of images `width` wide, in the order of memory."""
        wide = vectors * lanes
        whole, left = self._segments(vectors, lanes)

        def sweep(limits: tuple[Operand, Operand] | None, rest: tuple[int, ...]) -> None:
            for run in self.rows.runs(self.height, self.out_height):
                for row, base in run.each(k):
                    with k.loop(*columns) as column:
                        taps = self.columns.taps_inside(k, column, width)
                        if limits:
                            with k.loop(*limits, wide) as channel:
                                visit(OutputCell(run, row, base, column, taps, channel, (lanes,) * vectors))
                        if rest:
                            visit(OutputCell(run, row, base, column, taps, whole, rest))

        numbers = self.rows.taps * self.columns.taps
        if numbers * self.channels <= MOST:
            sweep((0, whole) if whole else None, left)
            return
        some = max(1, NEAR // numbers // LINES) * LINES
        with k.loop(0, whole, some) as first:
            sweep((first, k.minimum(whole, first + some)), ())
        if left:
            sweep(None, left)


@dataclass(frozen=True)
class Depthwise(_Depthwise):
    """`y = epilogue(x ∗ w)`, channel by channel; with transposed axes, `x` holds gradients of results.

    Arguments: x (N × height × W × channels), w (kh × kw × channels), W, OW; then the epilogue's, on arrays
    N × out_height × OW × channels. A block is one column of one image's results.
    """

    signature: ClassVar[Signature] = Signature(("x", "w"), ("W", "OW"), epilogue=True)

    epilogue: Epilogue = PLAIN

    def build(self, target: Target) -> Kernel:
        k = Builder("depthwise")
        x, w = k.buffer("x"), k.buffer("w")
        width, out_width = k.index("W"), k.index("OW")
        epilogue = self.epilogue.bind(k)
        with k.loop(k.begin // out_width, (k.end + out_width - 1) // out_width) as number:
            done = number * out_width
            columns = k.maximum(0, k.begin - done), k.minimum(out_width, k.end - done)
            image = k.offset(x, number * self.height * width * self.channels)

            def visit(cell: OutputCell) -> None:
                source = k.offset(image, cell.base * width * self.channels + cell.channel)
                row = number * self.out_height + cell.row
                at = (row * out_width + cell.column) * self.channels + cell.channel
                self._cell(k, target.lanes, cell, source, width, w, epilogue, (at, out_width * self.channels))

            self._walk(k, columns, width, VECTORS, target.lanes, visit)
        return k.kernel()

    def _cell(
        self,
        k: Builder,
        lanes: int,
        cell: OutputCell,
        source: Pointer,
        width: Value,
        w: Pointer,
        epilogue: BoundEpilogue,
        out: tuple[Value, Value],
    ) -> None:
        """`source` is the base row's first column; `out` the place of the first result, and what a row is on."""
        vectors = list(enumerate(cell.counts))
        sums = [[k.register(k.spread(0.0, lanes)) for _ in vectors] for _ in range(cell.run.size)]
        row_of_kernel = self.columns.taps * self.channels
        for tap, column in cell.taps.each(k):
            pixel = k.offset(source, column * self.channels)
            weight = k.offset(w, tap * self.channels + cell.channel)
            weights = {
                (r, j): k.load(weight, r * row_of_kernel + j * lanes, lanes, n)
                for r in cell.run.taps
                for j, n in vectors
            }
            for place in cell.run.places:
                for j, n in vectors:
                    value = k.load(pixel, width * (place * self.channels) + j * lanes, lanes, n)
                    for i, r in cell.run.at(place):
                        sums[i][j].set(k.fma(value, weights[r, j], sums[i][j].get()))
        first, step = out
        for i, row in enumerate(sums):
            for j, n in vectors:
                at, channel = first + step * i + j * lanes, cell.channel + j * lanes
                epilogue.store(row[j].get(), at, channel, n)


@dataclass(frozen=True)
class DepthwiseWeight(_Depthwise):
    """Partial weight gradients, an array (kh × kw × channels) a block, as `Conv2dWeight` gives them.

    The sums of a cell's taps are kept in memory, where they stay in the nearest cache, and are each loaded once
    for a tile of rows.

    Arguments: x (N × height × W × channels), g (N × out_height × OW × channels), partial; N, W, OW, images a block.
    A block is some images.
    """

    signature: ClassVar[Signature] = Signature(("x", "g", "partial"), ("N", "W", "OW", "images"))

    def build(self, target: Target) -> Kernel:
        k = Builder("depthwise_weight")
        x, g, partial = k.buffer("x"), k.buffer("g"), k.buffer("partial")
        count, width, out_width, images = (k.index(name) for name in ("N", "W", "OW", "images"))
        size = self.rows.taps * self.columns.taps * self.channels
        # One vector where the sums and gradients of two would not stay in registers.
        vectors = VECTORS if (ROWS + self.rows.taps) * VECTORS < target.registers else 1
        with k.loop(k.begin, k.end) as block:
            sums = k.offset(partial, block * size)
            zero = k.spread(0.0, target.lanes)
            over_lanes(k, size, target.lanes, lambda i, n: k.store(sums, i, zero, n))
            with k.loop(block * images, k.minimum(count, (block + 1) * images)) as number:
                image = k.offset(x, number * self.height * width * self.channels)
                gradient = k.offset(g, number * self.out_height * out_width * self.channels)

                def visit(cell: OutputCell) -> None:
                    source = k.offset(image, cell.base * width * self.channels + cell.channel)
                    at = (cell.row * out_width + cell.column) * self.channels + cell.channel
                    given = k.offset(gradient, at)
                    self._cell(k, target.lanes, cell, source, width, given, out_width, sums)

                self._walk(k, (0, out_width), width, vectors, target.lanes, visit)
        return k.kernel()

    def _cell(
        self,
        k: Builder,
        lanes: int,
        cell: OutputCell,
        source: Pointer,
        width: Value,
        given: Pointer,
        out_width: Value,
        sums: Pointer,
    ) -> None:
        """`source` is the base row's first column, `given` the gradient of the cell's first result."""
        vectors = list(enumerate(cell.counts))
        gradients = [
            [k.load(given, out_width * (i * self.channels) + j * lanes, lanes, n) for j, n in vectors]
            for i in range(cell.run.size)
        ]
        row_of_kernel = self.columns.taps * self.channels
        for tap, column in cell.taps.each(k):
            pixel = k.offset(source, column * self.channels)
            into = k.offset(sums, tap * self.channels + cell.channel)
            places = {(r, j): r * row_of_kernel + j * lanes for r in cell.run.taps for j, _ in vectors}
            totals = {(r, j): k.load(into, at, lanes, cell.counts[j]) for (r, j), at in places.items()}
            for place in cell.run.places:
                for j, n in vectors:
                    value = k.load(pixel, width * (place * self.channels) + j * lanes, lanes, n)
                    for i, r in cell.run.at(place):
                        totals[r, j] = k.fma(value, gradients[i][j], totals[r, j])
            for (r, j), at in places.items():
                k.store(into, at, totals[r, j], cell.counts[j])
