"""Matrix products: `y[m, n] = Σ_k a(m, k) · b[k, n]`, with whatever the epilogue makes of the sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.ir import Builder, Kernel, Operand, Target
from opsin.kernels.spec import KernelSpec, Signature
from opsin.kernels.tile import PLAIN, ColumnRange, Epilogue, Tile, columns, most_rows, over_columns, over_rows, split


@dataclass(frozen=True)
class MatMul(KernelSpec):
    """`a` is read with stride `a_row` between rows (None: rows are neighbours, `a_step` apart along k).

    Arguments: a, b; m, k, a_step (the stride of `a` along k), b_row (the stride of `b` along k, whose
    columns are neighbours); then the epilogue's. The output has `n` columns, rows of `n` elements. A
    block is `rows` rows of the output; the last may have fewer.
    """

    signature: ClassVar[Signature] = Signature(("a", "b"), ("m", "k", "a_step", "b_row"), epilogue=True)

    n: int
    rows: int
    a_row: int | None
    epilogue: Epilogue = PLAIN

    def build(self, target: Target) -> Kernel:
        k = Builder("matmul")
        a, b = k.buffer("a"), k.buffer("b")
        m, depth, a_step, b_row = k.index("m"), k.index("k"), k.index("a_step"), k.index("b_row")
        epilogue = self.epilogue.bind(k)
        runs = columns(self.n, target)
        whole = m // self.rows
        a_row = 1 if self.a_row is None else self.a_row

        def tile(row: Operand, rows: int, column: Operand, run: ColumnRange) -> None:
            sums = Tile(k, target, rows, run)
            left = k.offset(a, row * a_row)
            with k.loop(0, depth) as i:
                at = i * a_step
                sums.accumulate(lambda r: k.load(left, at + r * a_row), b, i * b_row + column)
            for r in range(rows):
                for j, count in enumerate(sums.counts()):
                    first = column + j * target.lanes
                    epilogue.store(sums.value(r, j), (row + r) * self.n + first, first, count)

        def block(first: Operand) -> None:
            def across(column: Operand, run: ColumnRange) -> None:
                over_rows(k, split(self.rows, most_rows(self.n, target)), lambda r, n: tile(first + r, n, column, run))

            over_columns(k, runs, target.lanes, across)

        with k.loop(k.begin, k.minimum(k.end, whole)) as number:
            block(number * self.rows)
        # The rows that make no whole block, one by one.
        with k.when(whole < k.end), k.loop(whole * self.rows, m) as row:
            over_columns(k, runs, target.lanes, lambda column, run: tile(row, 1, column, run))
        return k.kernel()
