"""Depthwise convolution of 8-bit integers: several taps of a column are multiplied by one instruction.

A lane holds the numbers of one channel from 2 or 4 adjacent rows of the image, as int16 or int8 (`nodes.PACKED`). Each
result of a tile of rows multiplies such a group by its own weights: those of the taps that fall on these rows, and
zeros. So a group that is loaded once serves all rows of the tile, whatever the stride and dilation. Rows and columns
outside the image are padding, with a constant value that is multiplied like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from opsin.kernels.depthwise import Cell, DepthwiseSpec, Schedule
from opsin.kernels.ir import I8, I32, PACKED, QUAD, Builder, Kernel, Operand, Pointer, Register, Target, Value
from opsin.kernels.spec import KernelSpec, Signature, vector_loop
from opsin.kernels.taps import Axis
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
def patterns(axis: Axis, out_height: int, pack: int) -> tuple[Pattern, ...]:
    """Return every pattern that the tiles of `out_height` rows need."""
    sizes = {size for _, size in row_ranges(out_height, tile_rows(axis, pack))}
    found = {pattern: None for size in sorted(sizes) for _, _, pattern in tap_groups(axis, size, pack).products}
    return tuple(found)


@dataclass(frozen=True)
class PackTaps(KernelSpec):
    """u[s, n, c] = the weights w[r, s, c] of the taps r of pattern n, in one lane; w is kh × kw × channels of int8.

    `u` has elements of int16 or int8. A block is one column of the window.
    """

    signature: ClassVar[Signature] = Signature(("w", "u"), elements={"w": I8, "u": I8})

    channels: int
    columns: int
    taps: tuple[Pattern, ...]

    def build(self, target: Target) -> Kernel:
        k = Builder("pack_taps")
        w, u = self.bind(k)[0]
        pack = len(self.taps[0])
        bits, packed = 32 // pack, PACKED[u.element]
        with k.loop(k.begin, k.end) as s:
            for number, pattern in enumerate(self.taps):
                result = k.offset(u.of(packed), (s * len(self.taps) + number) * self.channels)
                for c, count in vector_loop(k, self.channels, target.lanes):
                    lane = k.broadcast(0, target.lanes, I32)
                    for place, tap in enumerate(pattern):
                        if tap is not None:
                            at = (tap * self.columns + s) * self.channels + c
                            number_bits = k.load(w, at, target.lanes, count) & ((1 << bits) - 1)
                            lane = lane | (number_bits << (bits * place))
                    k.store(result, c, k.bits(lane, packed), count)
        return k.kernel()


@dataclass(frozen=True)
class DepthwiseWhole(DepthwiseSpec):
    """`y = epilogue(x ∗ w)`, channel by channel, of int8 with sums of int32; `x_zero` is the value of padding.

    `x` is N × height × W × channels, `u` the weights from `PackTaps`, and the epilogue's arrays are
    N × out_height × OW × channels. A block is one column of the results of one image.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "u"), ("W", "OW", "x_zero"), epilogue=True, elements={"x": I8, "u": I8}
    )

    epilogue: Epilogue = PLAIN

    @property
    def pack(self) -> int:
        """The rows of a group."""
        return 4 if self.element("u") == I8 else 2

    def build(self, target: Target) -> Kernel:
        k = Builder("depthwise_whole")
        (x, u), (width, out_width, x_zero) = self.bind(k)
        tile = _Tile(self, k, target.lanes, u, width, k.convert("i32", x_zero), self.epilogue.bind(k, self.element))
        schedule = Schedule(tile_rows(self.rows, self.pack), 1, self.channel_block)
        with k.loop(k.begin // out_width, (k.end + out_width - 1) // out_width) as number:
            first = number * out_width
            columns = k.maximum(0, k.begin - first), k.minimum(out_width, k.end - first)
            image = k.offset(x, number * self.height * width * self.channels)
            for cell in self.cells(k, target.lanes, schedule, columns, width):
                source = k.offset(image, cell.base * width * self.channels + cell.channel)
                row = number * self.out_height + cell.row
                at = (row * out_width + cell.column) * self.channels + cell.channel
                tile.emit(cell, source, at, out_width * self.channels)
        return k.kernel()


@dataclass(frozen=True)
class _Tile:
    """Emits the code of one cell of `DepthwiseWhole`."""

    spec: DepthwiseWhole
    k: Builder
    lanes: int
    weights: Pointer
    width: Value
    x_zero: Value
    epilogue: BoundEpilogue

    def emit(self, cell: Cell, source: Pointer, first: Value, row_size: Value) -> None:
        """Compute the results from element `first` on, in rows `row_size` apart; `source` is the first column."""
        k, spec = self.k, self.spec
        groups = tap_groups(spec.rows, cell.run.size, spec.pack)
        (count,) = cell.lane_counts
        sums = [k.register(k.broadcast(0, self.lanes, I32)) for _ in range(cell.run.size)]
        outside = k.broadcast(self.x_zero, self.lanes, I32)
        inside_rows = set(cell.run.positions)
        for tap, column in cell.taps.loop(k):
            pixel = k.offset(source, column * spec.channels)
            rows = [
                [
                    self._row(pixel, position, count, outside if position not in inside_rows else None)
                    for position in group
                ]
                for group in groups.positions
            ]
            self._add(sums, tap, cell.channel, groups.products, [self._packed(group) for group in rows], count)
        padding = self._packed([self._narrow(outside)] * spec.pack)
        # A window that is outside as a whole has limits beyond the taps.
        first_inside = k.minimum(cell.taps.first, spec.columns.taps)
        for limits in ((0, first_inside), (k.maximum(first_inside, cell.taps.last), spec.columns.taps)):
            with k.loop(*limits) as tap:
                self._add(sums, tap, cell.channel, groups.products, [padding] * len(groups.positions), count)
        for i, register in enumerate(sums):
            self.epilogue.store(register.get(), first + row_size * i, cell.channel, count)

    def _narrow(self, value: Value) -> Value:
        """Return values as `_packed` takes them: bytes, or int32 of which it takes 16 bits."""
        return self.k.narrow(value, I8) if self.spec.pack == 4 else value

    def _row(self, pixel: Pointer, position: int, count: int, outside: Value | None) -> Value:
        """Load `count` channels of the row at `position`, or return the padding."""
        if outside is not None:
            return self._narrow(outside)
        load = self.k.load_narrow if self.spec.pack == 4 else self.k.load
        return load(pixel, self.width * (position * self.spec.channels), self.lanes, count)

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
        self, sums: list[Register], tap: Value, channel: Operand, products: Sequence[tuple[int, int, Pattern]],
        groups: Sequence[Value], count: int,
    ) -> None:  # fmt: skip
        """Add the products of one column of the window."""
        k, spec = self.k, self.spec
        taps = patterns(spec.rows, spec.out_height, spec.pack)
        weights = k.offset(self.weights.of(PACKED[self.weights.element]), tap * len(taps) * spec.channels + channel)
        for i, number, pattern in products:
            weight = k.load(weights, taps.index(pattern) * spec.channels, self.lanes, count)
            sums[i].set(k.dot(groups[number], weight, sums[i].get()))
