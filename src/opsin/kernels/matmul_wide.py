"""Matrix products with a large right operand and few rows: fully connected layers, which are bound by memory.

A block owns a stripe of columns of the right operand and reads it once, in long contiguous runs, a few rows at a time.
The rows are packed into panels as wide as the register tile (and transposed if the columns are contiguous) and
multiplied by all rows of the left operand before the next rows are read. These are prefetched meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.ir import Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.spec import CACHE_LINE, KernelSpec, Signature
from opsin.kernels.summation import DEPTH, Summation
from opsin.kernels.tile import PLAIN, BoundEpilogue, ColumnRange, Epilogue, Tile, max_panel_rows, row_loop, row_ranges


@dataclass(frozen=True)
class MatMulWide(KernelSpec):
    """`y[m, n] = epilogue(Σ_k a[m, k] · b[k, n])`, where `m`, `k` and `n` are also the sizes.

    `a` is contiguous along k, with rows `a_row` elements apart. `b` is contiguous along n with the stride `b_step`
    along k, or the other way round if `transposed`. The epilogue's arrays are m × n. A block is `rows` rows × `width`
    columns (whole panels). `depth` rows of `b` are multiplied before the next ones. If `packed`, they are packed first;
    otherwise they are read in place, `unroll` at a time. A transposed `b` must be packed.
    """

    signature: ClassVar[Signature] = Signature(("a", "b"), ("m", "k", "a_row", "b_step"), epilogue=True)

    n: int
    rows: int
    width: int
    transposed: bool
    packed: bool
    depth: int
    unroll: int
    epilogue: Epilogue = PLAIN

    def scratch(self) -> int:
        """Return the float32 elements of scratch memory: panels and sums."""
        return (self.depth + self.rows) * self.width

    def summation(self, words: Sequence[int], target: Target) -> Summation:
        return Summation((DEPTH,), segment=self.depth if self.packed else None)

    def build(self, target: Target) -> Kernel:
        k = Builder("matmul_wide")
        (a, b), (m, depth, a_row, b_step) = self.bind(k)
        epilogue = self.epilogue.bind(k, self.element)
        stripes = -(-self.n // self.width)
        panels, sums = k.scratch, k.offset(k.scratch, self.depth * self.width)
        with k.loop(k.begin, k.end) as block:
            first, column = block // stripes * self.rows, block % stripes * self.width
            count = k.minimum(self.rows, m - first)
            width = k.minimum(self.width, self.n - column)
            stripe = k.offset(b, column * b_step if self.transposed else column)
            with k.loop(0, count * self.width, target.lanes) as i:
                k.store(sums, i, k.broadcast(0.0, target.lanes))
            with k.loop(0, depth, self.depth) as start:
                length = k.minimum(self.depth, depth - start)
                left = k.offset(a, first * a_row + start)
                right = k.offset(stripe, start if self.transposed else start * b_step)
                step = _Step(self, k, target, left, a_row, right, b_step, sums, length, width)
                if self.packed:
                    step.pack(panels)
                    step.multiply(panels, count)
                else:
                    step.multiply_unpacked()
            self._finish(k, target.lanes, (first, count), (column, width), sums, epilogue)
        return k.kernel()

    def _finish(
        self,
        k: Builder,
        lanes: int,
        rows: tuple[Value, Value],
        columns: tuple[Value, Value],
        sums: Pointer,
        epilogue: BoundEpilogue,
    ) -> None:
        """Apply the epilogue to a block: `rows` and `columns` are (first, count)."""
        (first, count), (column, width) = rows, columns
        with k.loop(0, count) as row:
            at = (first + row) * self.n + column
            for i, n in _vector_loop(k, width, lanes, self.n % lanes):
                value = k.load(sums, row * self.width + i, lanes, n)
                epilogue.store(value, at + i, column + i, n)


@dataclass(frozen=True)
class _Step:
    """Adds the products of `length` rows of a stripe, which is `width` columns wide, to the sums of its block.

    `left` and `right` are the first elements of the operands.
    """

    spec: MatMulWide
    k: Builder
    target: Target
    left: Pointer
    a_row: Value
    right: Pointer
    b_step: Value
    sums: Pointer
    length: Value
    width: Value

    def _columns(self) -> Iterator[tuple[Operand, int]]:
        return _vector_loop(self.k, self.width, self.target.lanes, self.spec.n % self.target.lanes)

    def multiply_unpacked(self) -> None:
        """Multiply with the right operand in place."""
        k = self.k
        unroll = self.spec.unroll
        main_end = self.length // unroll * unroll
        with k.loop(0, main_end, unroll) as first:
            self._multiply_rows(first, unroll)
        with k.loop(main_end, self.length) as first:
            self._multiply_rows(first, 1)

    def _multiply_rows(self, first: Value, count: int) -> None:
        """Multiply `count` rows of the right operand from `first` on."""
        k, lanes, rows, width = self.k, self.target.lanes, self.spec.rows, self.spec.width
        factors = [
            [k.broadcast(k.load(self.left, r * self.a_row + first + i), lanes) for i in range(count)]
            for r in range(rows)
        ]
        for j, n in self._columns():
            totals = [k.load(self.sums, r * width + j, lanes) for r in range(rows)]
            for i in range(count):
                value = k.load(self.right, (first + i) * self.b_step + j, lanes, n)
                totals = [k.fma(f[i], value, total) for f, total in zip(factors, totals, strict=True)]
            for r, total in enumerate(totals):
                k.store(self.sums, r * width + j, total)

    def pack(self, panels: Pointer) -> None:
        """Copy the rows of the right operand into panels."""
        (self._pack_columns if self.spec.transposed else self._pack_rows)(panels)

    def _pack_rows(self, panels: Pointer) -> None:
        """Pack contiguous rows: each is divided among the panels."""
        k, lanes, panel = self.k, self.target.lanes, 2 * self.target.lanes
        with k.loop(0, self.length) as i:
            for j, count in self._columns():
                at = j // panel * (self.spec.depth * panel) + i * panel + j % panel
                k.store(panels, at, k.load(self.right, i * self.b_step + j, lanes, count))

    def _pack_columns(self, panels: Pointer) -> None:
        """Pack contiguous columns: each becomes a column of a panel."""
        k, lanes, width = self.k, self.target.lanes, 2 * self.target.lanes
        main_end = self.length // lanes * lanes
        with k.loop(0, self.width) as j:
            column = k.offset(self.right, j * self.b_step)
            panel = k.offset(panels, j // width * (self.spec.depth * width) + j % width)
            with k.loop(0, main_end, lanes) as i:
                k.store(panel, i * width, k.load(column, i, lanes), stride=width)
            with k.loop(main_end, self.length) as i:
                k.store(panel, i * width, k.load(column, i))

    def multiply(self, panels: Pointer, count: Value) -> None:
        """Multiply `count` rows of the left operand by the panels."""
        k, rows = self.k, self.spec.rows
        with k.loop(0, self.width, 2 * self.target.lanes) as column:
            panel = k.offset(panels, column * self.spec.depth)
            with k.when(count >= rows) as branch:
                for row, size in row_loop(k, row_ranges(rows, max_panel_rows(self.target))):
                    self._tile(row, size, column, panel)
            with k.otherwise(branch), k.loop(0, count) as row:
                self._tile(row, 1, column, panel)

    def _tile(self, row: Operand, rows: int, column: Value, panel: Pointer) -> None:
        k, lanes = self.k, self.target.lanes
        tile = Tile(k, self.target, rows, ColumnRange(0, 1, 2, lanes))
        start = k.offset(self.left, row * self.a_row)
        with k.loop(0, self.length) as i:
            self._prefetch(row, column, i)
            tile.accumulate(lambda r: k.load(start, r * self.a_row + i), panel, i * (2 * lanes))
        tile.store(self.sums, row * self.spec.width + column, self.spec.width, add=True)

    def _prefetch(self, row: Operand, column: Value, i: Value) -> None:
        """Prefetch a cache line of the next rows of the right operand, in step `i` of the tile from `row` on.

        The first tiles of a panel share its lines: each takes one line of every row, or adjacent lines of some columns
        if the columns are contiguous.
        """
        k, spec = self.k, self.spec
        parts = -(-2 * self.target.lanes // CACHE_LINE)
        tiles = -(-spec.rows // max_panel_rows(self.target))
        part = k.minimum(k.constant(row, i.kind) * tiles // spec.rows, parts - 1) * CACHE_LINE
        if spec.transposed:
            lines = -(-spec.depth // CACHE_LINE)
            k.prefetch(self.right, (column + part + i // lines) * self.b_step + spec.depth + i % lines * CACHE_LINE)
        else:
            k.prefetch(self.right, (spec.depth + i) * self.b_step + column + part)


def _vector_loop(k: Builder, count: Value, lanes: int, tail_lanes: int) -> Iterator[tuple[Operand, int]]:
    """Yield (first, lanes) for `count` columns; `tail_lanes` is the number of lanes of an incomplete last vector."""
    main_end = count // lanes * lanes
    with k.loop(0, main_end, lanes) as first:
        yield first, lanes
    if tail_lanes:
        with k.when(main_end < count):
            yield main_end, tail_lanes
