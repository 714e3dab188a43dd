"""Matrix products with a large right operand and few rows: fully connected layers, which are bound by memory.

A block owns a stripe of the right operand's columns and reads it once, in runs as long as memory likes, a few
rows at a time: they are packed into panels as wide as the register tile (turned, where the stripe's columns lie
along memory) and multiplied with all rows of the left operand before the next ones come.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.ir import Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.spec import KernelSpec, Signature
from opsin.kernels.tile import PLAIN, ColumnRange, Epilogue, Tile, over_rows, split

DEPTH = 128
"""Rows of the right operand that are packed at a time."""

LONE, TURNS = 3, 8
"""Rows of the left operand up to which the right one is not worth packing, and its rows that then go at a time."""


@dataclass(frozen=True)
class MatMulWide(KernelSpec):
    """`y[m, n] = epilogue(Σ_k a[m, k] · b[k, n])`, a block for `rows` rows and `width` columns (whole panels).

    Arguments: a, b; m, k, a_row, b_step (the stride of `b` along k or, where `turned`, along n: along the other it is
    dense, as `a` is along k); then the epilogue's. Scratch: see `scratch`.
    """

    signature: ClassVar[Signature] = Signature(("a", "b"), ("m", "k", "a_row", "b_step"), epilogue=True)

    n: int
    rows: int
    width: int
    turned: bool
    epilogue: Epilogue = PLAIN

    def scratch(self) -> int:
        """Float32 elements of scratch memory: panels and sums."""
        return (DEPTH + self.rows) * self.width

    @property
    def packs(self) -> bool:
        """Whether enough rows use what would be packed."""
        return self.turned or self.rows > LONE

    def build(self, target: Target) -> Kernel:
        k = Builder("matmul_wide")
        a, b = k.buffer("a"), k.buffer("b")
        m, depth, a_row, b_step = k.index("m"), k.index("k"), k.index("a_row"), k.index("b_step")
        epilogue = self.epilogue.bind(k)
        stripes = -(-self.n // self.width)
        packed, sums = k.scratch, k.offset(k.scratch, DEPTH * self.width)
        with k.loop(k.begin, k.end) as block:
            first, column = block // stripes * self.rows, block % stripes * self.width
            count = k.minimum(self.rows, m - first)
            across = k.minimum(self.width, self.n - column)
            stripe = k.offset(b, column * b_step if self.turned else column)
            with k.loop(0, count * self.width, target.lanes) as i:
                k.store(sums, i, k.spread(0.0, target.lanes))
            with k.loop(0, depth, DEPTH) as done:
                length = k.minimum(DEPTH, depth - done)
                left = k.offset(a, first * a_row + done)
                if not self.packs:
                    self._stream(k, target, left, a_row, k.offset(stripe, done * b_step), b_step, sums, length, across)
                else:
                    pack, source = (self._pack_turned, done) if self.turned else (self._pack, done * b_step)
                    pack(k, target, k.offset(stripe, source), b_step, packed, length, across)
                    self._multiply(k, target, left, a_row, packed, sums, length, across, count)
            with k.loop(0, count) as row:
                at = (first + row) * self.n + column

                def finish(i: Operand, lanes: int, row: Value = row, at: Value = at, column: Value = column) -> None:
                    value = k.load(sums, row * self.width + i, target.lanes, lanes)
                    epilogue.store(value, at + i, column + i, lanes)

                _over(k, across, target.lanes, self.n % target.lanes, finish)
        return k.kernel()

    def _stream(
        self,
        k: Builder,
        target: Target,
        left: Pointer,
        a_row: Value,
        source: Pointer,
        b_step: Value,
        sums: Pointer,
        length: Value,
        across: Value,
    ) -> None:
        """Adds the product of some rows of the stripe to the sums of the block, read where they lie."""
        lanes = target.lanes

        def turns(first: Value, count: int) -> None:
            factors = [
                [k.spread(k.load(left, r * a_row + first + i), lanes) for i in range(count)] for r in range(self.rows)
            ]

            def vector(j: Operand, n: int) -> None:
                totals = [k.load(sums, r * self.width + j, lanes) for r in range(self.rows)]
                for i in range(count):
                    value = k.load(source, (first + i) * b_step + j, lanes, n)
                    totals = [k.fma(f[i], value, total) for f, total in zip(factors, totals, strict=True)]
                for r, total in enumerate(totals):
                    k.store(sums, r * self.width + j, total)

            _over(k, across, lanes, self.n % lanes, vector)

        whole = length // TURNS * TURNS
        with k.loop(0, whole, TURNS) as first:
            turns(first, TURNS)
        with k.loop(whole, length) as first:
            turns(first, 1)

    def _pack(
        self, k: Builder, target: Target, source: Pointer, step: Value, into: Pointer, length: Value, across: Value
    ) -> None:
        """Rows that lie along memory: each is cut up among the panels."""
        lanes = target.lanes

        with k.loop(0, length) as i:

            def vector(j: Operand, count: int) -> None:
                place = j // (2 * lanes) * (DEPTH * 2 * lanes) + i * (2 * lanes) + j % (2 * lanes)
                k.store(into, place, k.load(source, i * step + j, lanes, count))

            _over(k, across, lanes, self.n % lanes, vector)

    def _pack_turned(
        self, k: Builder, target: Target, source: Pointer, step: Value, into: Pointer, length: Value, across: Value
    ) -> None:
        """Columns that lie along memory: each becomes a column of a panel."""
        lanes, pair = target.lanes, 2 * target.lanes
        whole = length // lanes * lanes
        with k.loop(0, across) as j:
            column = k.offset(source, j * step)
            panel = k.offset(into, j // pair * (DEPTH * pair) + j % pair)
            with k.loop(0, whole, lanes) as i:
                k.store(panel, i * pair, k.load(column, i, lanes), stride=pair)
            with k.loop(whole, length) as i:
                k.store(panel, i * pair, k.load(column, i))

    def _multiply(
        self,
        k: Builder,
        target: Target,
        left: Pointer,
        a_row: Value,
        packed: Pointer,
        sums: Pointer,
        length: Value,
        across: Value,
        count: Value,
    ) -> None:
        """Adds the product of some rows of the stripe to the sums of the block."""
        lanes, pair = target.lanes, 2 * target.lanes
        most = (target.registers - 3) // 2

        with k.loop(0, across, pair) as column:
            panel = k.offset(packed, column * DEPTH)

            def tile(row: Operand, rows: int, column: Value = column, panel: Pointer = panel) -> None:
                tile = Tile(k, target, rows, ColumnRange(0, 1, 2, lanes))
                start = k.offset(left, row * a_row)
                with k.loop(0, length) as i:
                    tile.accumulate(lambda r: k.load(start, r * a_row + i), panel, i * pair)
                tile.put(sums, row * self.width + column, self.width, add=True)

            with k.when(count >= self.rows) as full:
                over_rows(k, split(self.rows, most), tile)
            with k.otherwise(full), k.loop(0, count) as row:
                tile(row, 1)


def _over(k: Builder, count: Value, lanes: int, rest: int, body: Callable[[Operand, int], None]) -> None:
    """Runs `body(first, lanes)` over `count` columns; `rest` says how many lanes a last broken vector has."""
    whole = count // lanes * lanes
    with k.loop(0, whole, lanes) as first:
        body(first, lanes)
    if rest:
        with k.when(whole < count):
            body(whole, rest)
