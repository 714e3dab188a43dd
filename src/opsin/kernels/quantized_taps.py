"""Depthwise convolution of 8-bit integers: several taps of a column are multiplied by one instruction.

A lane holds the numbers of one channel from 2 or 4 adjacent rows of the image, as int16 or int8 (`nodes.PACKED`). Each
result of a tile of rows multiplies such a group by its own weights: those of the taps that fall on these rows, and
zeros. So a group that is loaded once serves all rows of the tile, whatever the stride and dilation. Rows and columns
outside the image are padding, with a constant value that is multiplied like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

from opsin.kernels.depthwise import DepthwiseSpec
from opsin.kernels.ir import I8, I32, PACKED, QUAD, Builder, Kernel, Operand, Pointer, Register, Target, Value
from opsin.kernels.row_form import RowForm
from opsin.kernels.spec import KernelSpec, Signature, vector_loop
from opsin.kernels.taps import Axis, TapRun
from opsin.kernels.tile import PLAIN, BoundEpilogue, Epilogue, row_ranges

Pattern = tuple[int | None, ...]
"""The taps that a result multiplies the rows of a group by, None for a row that it does not read."""
MAX_TILE_ROWS = 4
GROUP_COST = 2.0
"""The cost of loading and interleaving the rows of a group, in products."""


@dataclass(frozen=True)
class TapGroups:
    """How the results of a tile of `rows` rows read groups of rows."""

    positions: tuple[tuple[int, ...], ...]
    """The rows of each group, relative to the first row under the first result's window without padding."""
    products: tuple[tuple[int, int, Pattern], ...]
    """(result, group, pattern)."""


@cache
def tap_groups(axis: Axis, rows: int, pack: int) -> TapGroups:
    """Return the groups of `pack` rows that `rows` results read, and the products of each."""
    reads = [
        (i, tap, i * axis.stride - axis.before + tap * axis.dilation) for i in range(rows) for tap in range(axis.taps)
    ]
    positions = sorted({position for _, _, position in reads})
    groups = tuple(tuple(positions[at : at + pack]) for at in range(0, len(positions), pack))
    products = []
    for number, group in enumerate(groups):
        for i in range(rows):
            taps = {position: tap for result, tap, position in reads if result == i}
            pattern: Pattern = tuple(taps.get(position) for position in group) + (None,) * (pack - len(group))
            if any(tap is not None for tap in pattern):
                products.append((i, number, pattern))
    return TapGroups(groups, tuple(products))


@cache
def tile_rows(axis: Axis, pack: int) -> int:
    """Return the rows of a tile that need the fewest operations for a row."""

    def cost(rows: int) -> float:
        groups = tap_groups(axis, rows, pack)
        return (len(groups.products) + GROUP_COST * len(groups.positions)) / rows

    return min(range(1, MAX_TILE_ROWS + 1), key=cost)


@cache
def patterns(axis: Axis, out_height: int, rows: int, pack: int) -> tuple[Pattern, ...]:
    """Return every pattern that `out_height` rows need in tiles of `rows`."""
    sizes = {size for _, size in row_ranges(out_height, rows)}
    found = {pattern: None for size in sorted(sizes) for _, _, pattern in tap_groups(axis, size, pack).products}
    return tuple(found)


@dataclass(frozen=True)
class PackTaps(KernelSpec):
    """u[s, n, c] = the weights w[r, s, c] of the taps r of pattern n, in one lane; w is kh × kw × channels of int8.

    `u` has elements of int16 or int8, as many in a lane as a pattern has taps. A block is one column of the window.
    """

    signature: ClassVar[Signature] = Signature(("w", "u"), elements={"w": I8, "u": I8})

    channels: int
    columns: int
    taps: tuple[Pattern, ...]

    def build(self, target: Target) -> Kernel:
        k = Builder("pack_taps")
        w, u = self.bind(k)[0]
        pack = len(self.taps[0])
        with k.loop(k.begin, k.end) as s:
            for number, pattern in enumerate(self.taps):
                result = k.offset(u, (s * len(self.taps) + number) * (self.channels * pack))
                for c, count in vector_loop(k, self.channels, target.lanes):
                    for place, tap in enumerate(pattern):
                        value = k.broadcast(0, target.lanes, I32)
                        if tap is not None:
                            value = k.load(w, (tap * self.columns + s) * self.channels + c, target.lanes, count)
                        k.store(result, c * pack + place, value, count, stride=pack)
        return k.kernel()


@dataclass(frozen=True)
class DepthwiseWhole(DepthwiseSpec):
    """`y = epilogue(x ∗ w)`, channel by channel, of int8 with sums of int32; `x_zero` is the value of padding.

    `x` is N × height × W × channels, `u` the weights from `PackTaps`, and the epilogue's arrays are
    N × out_height × OW × channels. Tiles are `tile_rows` rows of `tile_columns` columns, and `pack` is the rows of a
    group: 4 bytes, or 2 int16, which are stored as such or as bytes. A block is `tile_columns` columns of the results
    of one image, fewer at its end.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "u"), ("W", "OW", "x_zero"), epilogue=True, elements={"x": I8, "u": I8}
    )

    pack: int
    tile_rows: int
    tile_columns: int
    epilogue: Epilogue = PLAIN

    def row_form(self, words: Sequence[int], rows: int) -> RowForm | None:
        form = self.one_row(words, words[2])
        spec: DepthwiseWhole = form.spec  # type: ignore[assignment]
        taps = [patterns(each.rows, each.out_height, each.tile_rows, each.pack) for each in (self, spec)]
        return replace(form, blocks=-(-words[1] // self.tile_columns)) if taps[0] == taps[1] else None

    def build(self, target: Target) -> Kernel:
        k = Builder("depthwise_whole")
        (x, u), (width, out_width, x_zero) = self.bind(k)
        tile = _Tile(self, k, target.lanes, u, k.convert("i32", x_zero), self.epilogue.bind(k, self.element))
        per_image = (out_width + (self.tile_columns - 1)) // self.tile_columns
        lanes = target.lanes
        with k.loop(k.begin, k.end) as block:
            number, column = block // per_image, block % per_image * self.tile_columns
            image = k.offset(x, number * self.height * width * self.channels)
            for main_range, remainder in self._channel_ranges(k, lanes, lanes, self.channel_block):
                for run in self.rows.runs(self.height, self.out_height, self.tile_rows):
                    for row, base in run.loop(k):
                        first = (number * self.out_height + row) * out_width + column
                        start = k.offset(image, base * width * self.channels)
                        cell = _Cell.of(self, k, run, start, column, first, (width, out_width))
                        if main_range:
                            with k.loop(*main_range, lanes) as channel:
                                tile.emit(cell, channel, lanes)
                        if remainder:
                            tile.emit(cell, self.channels - sum(remainder), sum(remainder))
        return k.kernel()


@dataclass(frozen=True)
class _Cell:
    """A tile of results, with what its channels have in common.

    `pixels` has, for each column of the image that the tile reads, its place from the first one, whether it is inside
    the image, and the pixel there; `row_steps` the distances of its rows. `results` has the index of the first channel
    of each result of a row, and whether it exists; `row_size` is the distance of the rows.
    """

    run: TapRun
    pixels: tuple[tuple[int, Value, Pointer], ...]
    row_steps: Mapping[int, Value]
    results: tuple[tuple[Value, Value], ...]
    row_size: Value

    @staticmethod
    def of(
        spec: DepthwiseWhole, k: Builder, run: TapRun, base: Pointer, column: Value, first: Value,
        sizes: tuple[Value, Value],
    ) -> _Cell:  # fmt: skip
        """Return the cell of result columns from `column` on; `base` is column 0 of the image, `sizes` are widths."""
        axis, (width, out_width), columns = spec.columns, sizes, range(spec.tile_columns)
        pixels = []
        for place in sorted({i * axis.stride + tap * axis.dilation for i in columns for tap in range(axis.taps)}):
            at = column * axis.stride + (place - axis.before)
            pixels.append((place, (at >= 0) & (at < width), k.offset(base, at * spec.channels)))
        steps = {position: width * (position * spec.channels) for position in run.positions}
        results = tuple(((first + i) * spec.channels, column + i < out_width) for i in columns)
        return _Cell(run, tuple(pixels), steps, results, out_width * spec.channels)


@dataclass(frozen=True)
class _Tile:
    """Emits the code of one vector of channels of a tile of `DepthwiseWhole`."""

    spec: DepthwiseWhole
    k: Builder
    lanes: int
    weights: Pointer
    x_zero: Value
    epilogue: BoundEpilogue

    def emit(self, cell: _Cell, channel: Operand, count: int) -> None:
        """Compute the results of `count` channels from `channel` on."""
        k, spec, axis = self.k, self.spec, self.spec.columns
        groups = tap_groups(spec.rows, cell.run.size, spec.pack)
        sums = [[k.register(k.broadcast(0, self.lanes, I32)) for _ in range(cell.run.size)] for _ in cell.results]
        padding = k.broadcast(self.x_zero, self.lanes, I32)
        padding = k.narrow(padding, I8) if spec.pack == 4 else padding
        packed_padding = self._packed([padding] * spec.pack)
        weights: dict[int, Value] = {}
        load = k.load_narrow if spec.pack == 4 else k.load
        for place, is_inside, pixel in cell.pixels:
            # Each column of the image is read once, for all results of the tile.
            numbers = [k.register(packed_padding) for _ in groups.positions]
            with k.when(is_inside):
                source = k.offset(pixel, channel)
                for number, group in zip(numbers, groups.positions, strict=True):
                    steps = [cell.row_steps.get(position) for position in group]
                    rows = [padding if step is None else load(source, step, self.lanes, count) for step in steps]
                    number.set(self._packed(rows))
            for i, tap in ((i, tap) for i in range(len(sums)) for tap in range(axis.taps)):
                if i * axis.stride + tap * axis.dilation == place:
                    self._add(
                        sums[i], tap, (channel, count), groups.products, [number.get() for number in numbers], weights
                    )
        loaded = self.epilogue.load_channels(self.lanes, channel, count)
        for i, (first, exists) in enumerate(cell.results):
            with k.when(exists) if i else nullcontext():
                for row, register in enumerate(sums[i]):
                    at = first + cell.row_size * row + channel
                    self.epilogue.store(register.get(), at, channel, count, loaded)

    def _packed(self, rows: Sequence[Value]) -> Value:
        """Return the numbers of several rows in one lane for each channel; rows that are missing repeat the last."""
        k, pack, lanes = self.k, self.spec.pack, self.lanes
        rows = [*rows, *[rows[-1]] * (pack - len(rows))]
        if pack == 2:
            return k.pair(*rows)
        low, high = (k.shuffle(rows[i], rows[i + 1], range(2 * lanes)) for i in (0, 2))
        woven = k.shuffle(low, high, [lane // 4 + lanes * (lane % 4) for lane in range(4 * lanes)])
        return k.unsigned(k.bits(woven, QUAD))

    def _add(
        self, sums: list[Register], tap: int, channels: tuple[Operand, int],
        products: Sequence[tuple[int, int, Pattern]], groups: Sequence[Value], loaded: dict[int, Value],
    ) -> None:  # fmt: skip
        """Add the products of one column of the window; `channels` are (first, count), and `loaded` widened weights."""
        k, spec, (channel, count) = self.k, self.spec, channels
        taps, weights = patterns(spec.rows, spec.out_height, spec.tile_rows, spec.pack), self.weights
        widens = spec.pack == 2 and weights.element == I8
        lane = weights if widens else weights.of(PACKED[weights.element])
        start = k.offset(weights, channel * spec.pack)
        for i, number, pattern in products:
            place = (tap * len(taps) + taps.index(pattern)) * spec.channels
            if widens:  # also beyond the last channel, where the results are not stored
                if place not in loaded:
                    loaded[place] = k.load_pairs(start, place * spec.pack, self.lanes)
                weight = loaded[place]
            else:
                weight = k.load(start.of(lane.element), place, self.lanes, count)
            sums[i].set(k.dot(groups[number], weight, sums[i].get()))
