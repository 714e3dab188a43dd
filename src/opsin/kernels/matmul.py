"""Matrix products with an epilogue: `y[m, n] = epilogue(Σ_k a(m, k) · b[k, n])`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.ir import Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.spec import CACHE_LINE, KernelSpec, Signature
from opsin.kernels.summation import DEPTH, Summation
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


@dataclass(frozen=True)
class MatMul(KernelSpec):
    """`y[m, n] = epilogue(Σ_k a(m, k) · b[k, n])`, where `m`, `k` and `n` are also the sizes.

    The rows of `a` are `a_row` elements apart, or adjacent if that is None; `a_step` is the stride of `a` along k. The
    rows of `b` are `b_row` elements apart and contiguous. The epilogue's arrays are m × n. A block is `rows` rows of
    the output; the last may have fewer.
    """

    signature: ClassVar[Signature] = Signature(("a", "b"), ("m", "k", "a_step", "b_row"), epilogue=True)

    n: int
    rows: int
    a_row: int | None
    epilogue: Epilogue = PLAIN

    def summation(self, words: Sequence[int], target: Target) -> Summation:
        return Summation((DEPTH,))

    def build(self, target: Target) -> Kernel:
        k = Builder("matmul")
        (a, b), (m, depth, a_step, b_row) = self.bind(k)
        product = _Product(self, k, target, a, b, depth, a_step, b_row, self.epilogue.bind(k, self.element))
        ranges = column_ranges(self.n, target)
        full_blocks = m // self.rows
        with k.loop(k.begin, k.minimum(k.end, full_blocks)) as number:
            first = number * self.rows
            for column, columns in column_loop(k, ranges, target.lanes):
                for row, rows in row_loop(k, row_ranges(self.rows, max_rows(self.n, target))):
                    product.tile(first + row, rows, column, columns)
        # The rows after the last whole block, one by one.
        with k.when(full_blocks < k.end), k.loop(full_blocks * self.rows, m) as row:
            for column, columns in column_loop(k, ranges, target.lanes):
                product.tile(row, 1, column, columns)
        return k.kernel()


@dataclass(frozen=True)
class _Product:
    """Emits the register tiles of `MatMul`."""

    spec: MatMul
    k: Builder
    target: Target
    a: Pointer
    b: Pointer
    depth: Value
    a_step: Value
    b_row: Value
    epilogue: BoundEpilogue

    def tile(self, row: Operand, rows: int, column: Operand, columns: ColumnRange) -> None:
        """Emit the tile of `rows` rows from `row` on and of `columns` from `column` on."""
        k, n = self.k, self.spec.n
        a_row = 1 if self.spec.a_row is None else self.spec.a_row
        sums = Tile(k, self.target, rows, columns)
        left = k.offset(self.a, row * a_row)
        prefetched_rows = k.minimum(self.depth, rows) if self.epilogue.reads_arrays else None
        if prefetched_rows is not None:
            with k.loop(0, prefetched_rows) as i:
                self._prefetch((row + i) * n + column, columns)
                self._accumulate(sums, left, a_row, i, column)
        with k.loop(0 if prefetched_rows is None else prefetched_rows, self.depth) as i:
            self._accumulate(sums, left, a_row, i, column)
        self.epilogue.store_tile(sums, lambda r: (row + r) * n, column)

    def _accumulate(self, sums: Tile, left: Pointer, a_row: int, i: Value, column: Operand) -> None:
        """Add the products of step `i` of the sum."""
        k, at = self.k, i * self.a_step
        sums.accumulate(lambda r: k.load(left, at + r * a_row), self.b, i * self.b_row + column)

    def _prefetch(self, index: Operand, columns: ColumnRange) -> None:
        """Prefetch what the epilogue of the next columns reads and writes, in the row of element `index`.

        Its rows are far apart, and hardware prefetchers follow few streams. One row in each step keeps memory busy.
        """
        width = columns.width(self.target.lanes)
        for line in range(0, width, CACHE_LINE):
            self.epilogue.prefetch(index + width + line)
