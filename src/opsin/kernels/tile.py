"""The register tile: the heart of matrix products and convolutions.

A tile of `rows × columns` sums stays in vector registers while the reduction runs; each turn
loads one row of the right operand as vectors, spreads one number of the left operand for each
row of the tile, and multiplies and adds. This is the micro-kernel of Goto & van de Geijn, "Anatomy
of High-Performance Matrix Multiplication" (2008), with the left operand read where it lies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from opsin.kernels.expression import IDENTITY, Expression
from opsin.kernels.ir import F32, Builder, Operand, Pointer, Register, Target, Value


@dataclass(frozen=True)
class ColumnRange:
    """A run of output columns covered by tiles of equal width: `vectors` registers, the last with `last` lanes."""

    first: int
    tiles: int
    vectors: int
    last: int

    def width(self, lanes: int) -> int:
        return (self.vectors - 1) * lanes + self.last


def columns(count: int, target: Target) -> list[ColumnRange]:
    """How `count` columns are cut into tiles: two vectors wide, with what is left over in a narrower one."""
    lanes = target.lanes
    vectors = -(-count // lanes)
    if vectors in (1, 3):
        return [ColumnRange(0, 1, vectors, count - (vectors - 1) * lanes)]
    whole = count // (2 * lanes)
    runs = [ColumnRange(0, whole, 2, lanes)] if whole else []
    left = count - whole * 2 * lanes
    if left:
        needed = -(-left // lanes)
        runs.append(ColumnRange(whole * 2 * lanes, 1, needed, left - (needed - 1) * lanes))
    return runs


def most_rows(count: int, target: Target) -> int:
    """The rows of a tile for `count` columns: as many as the registers hold beside the operands."""
    widest = max(run.vectors for run in columns(count, target))
    return max(1, (target.registers - widest - 1) // widest)


def split(count: int, most: int) -> list[tuple[int, int]]:
    """`count` rows as (tiles, rows) runs, no tile above `most`, sizes differing by at most one."""
    tiles = -(-count // most)
    small, larger = divmod(count, tiles)
    return [(n, size) for n, size in ((larger, small + 1), (tiles - larger, small)) if n]


class Tile:
    """Sums for `rows` × `vectors` registers, in `ways` sets that take turns to hide the latency of an addition."""

    def __init__(self, k: Builder, target: Target, rows: int, run: ColumnRange, ways: int = 1) -> None:
        self.k, self.lanes, self.rows, self.run = k, target.lanes, rows, run
        zero = k.broadcast(0.0, target.lanes)
        self.sums: list[list[list[Register]]] = [
            [[k.register(zero) for _ in range(run.vectors)] for _ in range(rows)] for _ in range(ways)
        ]

    def counts(self) -> list[int]:
        return [self.lanes] * (self.run.vectors - 1) + [self.run.last]

    def accumulate(self, left: Callable[[int], Value], right: Pointer, at: Operand, way: int = 0) -> None:
        """One turn of the reduction: `sums[i] += left(i) · right[at …]`.

        Whole vectors are read even where the last has fewer lanes; what they hold there is never stored.
        """
        k = self.k
        row = [k.load(right, at + j * self.lanes, self.lanes) for j in range(self.run.vectors)]
        for i in range(self.rows):
            factor = k.broadcast(left(i), self.lanes)
            for sum, vector in zip(self.sums[way][i], row, strict=True):
                sum.set(k.fma(factor, vector, sum.get()))

    def value(self, i: int, j: int) -> Value:
        result = self.sums[0][i][j].get()
        for way in self.sums[1:]:
            result = result + way[i][j].get()
        return result

    def put(self, into: Pointer, place: Operand, step: int, add: bool) -> None:
        """Writes the sums, rows `step` elements apart from `place` on, or adds them to what is there."""
        k = self.k
        for i in range(self.rows):
            for j, count in enumerate(self.counts()):
                at, value = place + i * step + j * self.lanes, self.value(i, j)
                k.store(into, at, k.load(into, at, self.lanes, count) + value if add else value, count)


@dataclass(frozen=True)
class Epilogue:
    """What is computed from a finished sum before it is stored.

    Operand 0 of `expression` is the sum; each further one is `channel` (a value a column), `same`
    (an array like the output) or `scalar`. Each result is an array like the output.
    """

    expression: Expression
    operands: tuple[str, ...] = ()

    def bind(self, k: Builder) -> BoundEpilogue:
        """Declares the arguments: a buffer an operand, then one a result."""
        operands = [k.buffer(f"e{i}") for i in range(len(self.operands))]
        results = [k.buffer(f"y{i}") for i in range(len(self.expression.results))]
        return BoundEpilogue(self, k, operands, results)


PLAIN = Epilogue(IDENTITY)
"""The sum as it is."""


@dataclass(frozen=True)
class BoundEpilogue:
    epilogue: Epilogue
    k: Builder
    operands: list[Pointer]
    results: list[Pointer]

    @property
    def reads(self) -> bool:
        """Whether `store` reads arrays like the output."""
        return "same" in self.epilogue.operands

    def prefetch(self, at: Operand) -> None:
        """Brings near what `store` will read and write at element `at` of the output."""
        for kind, buffer in zip(self.epilogue.operands, self.operands, strict=True):
            if kind == "same":
                self.k.prefetch(buffer, at)
        for buffer in self.results:
            self.k.prefetch(buffer, at, to_write=True)

    def store(self, sum: Value, at: Operand, column: Operand, count: int) -> None:
        """Finishes `count` lanes of `sum`, element `at` of the output, column `column`."""
        k, lanes = self.k, sum.kind.lanes
        values = [sum]
        for kind, buffer in zip(self.epilogue.operands, self.operands, strict=True):
            if kind == "scalar":
                values.append(k.broadcast(k.load(buffer, 0), lanes, F32))
            else:
                values.append(k.load(buffer, column if kind == "channel" else at, lanes, count))
        for buffer, value in zip(self.results, self.epilogue.expression.emit(k, values), strict=True):
            k.store(buffer, at, value, count)


def over_columns(k: Builder, runs: list[ColumnRange], lanes: int, body: Callable[[Operand, ColumnRange], None]) -> None:
    """Runs `body(first column, run)` for every tile across."""
    for run in runs:
        if run.tiles == 1:
            body(run.first, run)
        else:
            width = run.width(lanes)
            with k.loop(run.first, run.first + run.tiles * width, width) as first:
                body(first, run)


def over_rows(k: Builder, runs: list[tuple[int, int]], body: Callable[[Operand, int], None]) -> None:
    """Runs `body(first row, rows)` for every tile down."""
    first = 0
    for tiles, rows in runs:
        if tiles == 1:
            body(first, rows)
        else:
            with k.loop(first, first + tiles * rows, rows) as row:
                body(row, rows)
        first += tiles * rows
