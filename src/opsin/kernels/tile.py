"""The register tile, the inner loop of matrix products and convolutions.

A tile of `rows × columns` sums stays in vector registers during the reduction. Each step loads one row of the right
operand as vectors, broadcasts one number of the left operand for each row of the tile, and multiplies and adds. This
is the micro-kernel of Goto & van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008), except that the
left operand is read in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from opsin.kernels.expression import IDENTITY, Expression
from opsin.kernels.ir import F32, I8, QUAD, WIDE, Builder, Operand, Pointer, Register, Target, Value


@dataclass(frozen=True)
class ColumnRange:
    """`tiles` register tiles of equal width from column `first` on: `vectors` registers, the last of `last` lanes."""

    first: int
    tiles: int
    vectors: int
    last: int

    def lane_counts(self, lanes: int) -> list[int]:
        """Return the columns in each vector of a row."""
        return [lanes] * (self.vectors - 1) + [self.last]

    def width(self, lanes: int) -> int:
        """Return the columns of one tile."""
        return (self.vectors - 1) * lanes + self.last


def column_ranges(count: int, target: Target) -> list[ColumnRange]:
    """Split `count` columns into tiles of two vectors, and the remainder into a narrower tile."""
    lanes = target.lanes
    vectors = -(-count // lanes)
    if vectors in (1, 3):
        return [ColumnRange(0, 1, vectors, count - (vectors - 1) * lanes)]
    tiles = count // (2 * lanes)
    ranges = [ColumnRange(0, tiles, 2, lanes)] if tiles else []
    tail_columns = count - tiles * 2 * lanes
    if tail_columns:
        vectors = -(-tail_columns // lanes)
        ranges.append(ColumnRange(tiles * 2 * lanes, 1, vectors, tail_columns - (vectors - 1) * lanes))
    return ranges


def max_rows(count: int, target: Target) -> int:
    """Return the rows of a tile for `count` columns: as many as the registers hold in addition to the operands."""
    vectors = max(columns.vectors for columns in column_ranges(count, target))
    return max(1, (target.registers - vectors - target.factor_registers) // vectors)


def max_panel_rows(target: Target) -> int:
    """Return the rows of a tile that is two vectors wide."""
    return (target.registers - 2 - target.factor_registers) // 2


def row_ranges(count: int, max_rows: int) -> list[tuple[int, int]]:
    """Split `count` rows into ranges (tiles, rows of each), at most `max_rows` each; sizes differ by at most one."""
    tiles = -(-count // max_rows)
    rows, remainder = divmod(count, tiles)
    return [(n, size) for n, size in ((remainder, rows + 1), (tiles - remainder, rows)) if n]


class Tile:
    """Sums for `rows` rows of the columns `columns`.

    The sums are `element`s. Several `accumulator_sets`, used in turn, hide the latency of an addition for small tiles.
    """

    def __init__(self, k: Builder, target: Target, rows: int, columns: ColumnRange, accumulator_sets: int = 1,
        element: str = F32,
    ) -> None:  # fmt: skip
        self.k, self.lanes, self.rows, self.columns = k, target.lanes, rows, columns
        zero = k.broadcast(0, target.lanes, element)
        self.sums: list[list[list[Register]]] = [
            [[k.register(zero) for _ in range(columns.vectors)] for _ in range(rows)] for _ in range(accumulator_sets)
        ]

    def lane_counts(self) -> list[int]:
        """Return the number of columns in each vector of a row."""
        return self.columns.lane_counts(self.lanes)

    def accumulate(
        self, left: Callable[[int], Value], right: Pointer, index: Operand, accumulator_set: int = 0
    ) -> None:
        """Emit one step of the reduction: `sums[i] += left(i) · right[index …]`.

        Whole vectors are read even if the last has fewer columns; the other lanes are never stored. If `left` returns
        several lanes, they are repeated along the vector; the right operand must be interleaved to match (see
        `panels.PanelShape`). If lanes hold several narrow numbers, the products of all are added; bytes are
        widened to pairs.
        """
        k = self.k
        places = [index + j * self.lanes for j in range(self.columns.vectors)]
        if right.element == I8:
            row = [k.load_pairs(right, 2 * place, self.lanes) for place in places]
        else:
            row = [k.load(right, place, self.lanes) for place in places]
        multiply_add = k.fma if row[0].kind.element == F32 else k.dot  # bfloat16 in memory is float32 when loaded
        for i in range(self.rows):
            factor = self._repeat(left(i))
            factor = k.unsigned(factor) if right.element == QUAD else factor
            for sum, vector in zip(self.sums[accumulator_set][i], row, strict=True):
                sum.set(multiply_add(factor, vector, sum.get()))

    def _repeat(self, value: Value) -> Value:
        """Return a whole vector with the lanes of `value` repeated."""
        lanes = value.kind.lanes
        if lanes in (1, self.lanes):
            return self.k.broadcast(value, self.lanes, value.kind.element) if lanes == 1 else value
        return self.k.shuffle(value, value, [lane % lanes for lane in range(self.lanes)])

    def folded(self, i: int, interleave: int) -> list[Value]:
        """Return the sums of row `i` with every `interleave` adjacent lanes added; the last vector may be half used."""
        vectors = [self.value(i, j) for j in range(self.columns.vectors)]
        while interleave > 1:
            pairs = zip(vectors[::2], [*vectors[1::2], vectors[-1]], strict=False)
            vectors = [self._add_neighbours(a, b) for a, b in pairs]
            interleave //= 2
        return vectors

    def _add_neighbours(self, a: Value, b: Value) -> Value:
        """Return the sums of the lanes 2i and 2i + 1 of the concatenation of `a` and `b`."""
        even, odd = (self.k.shuffle(a, b, range(first, 2 * self.lanes, 2)) for first in (0, 1))
        return even + odd

    def value(self, i: int, j: int) -> Value:
        """Return vector `j` of the sums of row `i`."""
        result = self.sums[0][i][j].get()
        for sums in self.sums[1:]:
            result = result + sums[i][j].get()
        return result

    def store(self, target: Pointer, index: Operand, row_size: int, add: bool) -> None:
        """Write the sums to `target` from `index` on, rows `row_size` elements apart, or `add` them to its contents."""
        k = self.k
        for i in range(self.rows):
            for j, count in enumerate(self.lane_counts()):
                at, value = index + i * row_size + j * self.lanes, self.value(i, j)
                k.store(target, at, k.load(target, at, self.lanes, count) + value if add else value, count)


@dataclass(frozen=True)
class Epilogue:
    """The computation on a finished sum before it is stored.

    Operand 0 of `expression` is the sum. Each further operand is `channel` (an array with one value for each column),
    `same` (an array of the output's shape) or `scalar`. Each result is an array of the output's shape.
    """

    expression: Expression
    operands: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The names of the arguments: `e0`, … for the operands but the sum, and `y0`, … for the results."""
        operands = [f"e{i}" for i in range(len(self.operands))]
        return operands + [f"y{i}" for i in range(len(self.expression.results))]

    def bind(self, k: Builder, element: Callable[[str], str]) -> BoundEpilogue:
        """Declare the arguments, arrays of `element(name)`."""
        pointers = [k.buffer(name, element(name)) for name in self.names]
        return BoundEpilogue(self, k, pointers[: len(self.operands)], pointers[len(self.operands) :])


PLAIN = Epilogue(IDENTITY)
"""Stores the sum."""


@dataclass(frozen=True)
class BoundEpilogue:
    """An epilogue with its arguments in one kernel."""

    epilogue: Epilogue
    k: Builder
    operands: list[Pointer]
    results: list[Pointer]

    @property
    def reads_arrays(self) -> bool:
        """Whether `store` reads arrays of the output's shape."""
        return "same" in self.epilogue.operands

    def prefetch(self, index: Operand) -> None:
        """Prefetch what `store` reads and writes at element `index` of the output."""
        for kind, buffer in zip(self.epilogue.operands, self.operands, strict=True):
            if kind == "same":
                self.k.prefetch(buffer, index)
        for buffer in self.results:
            self.k.prefetch(buffer, index, to_write=True)

    def load_channels(self, lanes: int, column: Operand, count: int) -> list[Value | None]:
        """Load the operands that are the same for all rows, for `count` columns from `column` on; None for others."""
        k, loaded = self.k, list[Value | None]()
        for kind, buffer in zip(self.epilogue.operands, self.operands, strict=True):
            if kind == "scalar":
                loaded.append(k.broadcast(k.load(buffer, 0), lanes, WIDE.get(buffer.element, buffer.element)))
            else:
                loaded.append(k.load(buffer, column, lanes, count) if kind == "channel" else None)
        return loaded

    def store(
        self, sum: Value, index: Operand, column: Operand, count: int, loaded: Sequence[Value | None] | None = None
    ) -> None:
        """Apply the epilogue to `count` lanes of `sum`, which is element `index` of the output, in column `column`.

        `loaded` are the operands from `load_channels`, if they have been loaded already.
        """
        k, lanes = self.k, sum.kind.lanes
        loaded = self.load_channels(lanes, column, count) if loaded is None else loaded
        values = [sum]
        for value, buffer in zip(loaded, self.operands, strict=True):
            values.append(k.load(buffer, index, lanes, count) if value is None else value)
        for buffer, value in zip(self.results, self.epilogue.expression.emit(k, values), strict=True):
            k.store(buffer, index, value, count)

    def store_tile(self, tile: Tile, index: Callable[[int], Operand], column: Operand) -> None:
        """Apply the epilogue to a tile from `column` on; `index(i)` is the element of the output in row i, column 0."""
        for i in range(tile.rows):
            for j, count in enumerate(tile.lane_counts()):
                first = column + j * tile.lanes
                self.store(tile.value(i, j), index(i) + first, first, count)


def column_loop(k: Builder, ranges: list[ColumnRange], lanes: int) -> Iterator[tuple[Operand, ColumnRange]]:
    """Yield (first column, range) for every tile of `ranges`, emitting a loop for each range of several tiles."""
    for columns in ranges:
        if columns.tiles == 1:
            yield columns.first, columns
        else:
            width = columns.width(lanes)
            with k.loop(columns.first, columns.first + columns.tiles * width, width) as first:
                yield first, columns


def row_loop(k: Builder, ranges: list[tuple[int, int]]) -> Iterator[tuple[Operand, int]]:
    """Yield (first row, rows) for every tile of `ranges`, emitting a loop for each range of several tiles."""
    first = 0
    for tiles, rows in ranges:
        if tiles == 1:
            yield first, rows
        else:
            with k.loop(first, first + tiles * rows, rows) as row:
                yield row, rows
        first += tiles * rows
