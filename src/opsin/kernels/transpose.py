"""Copies in which what lies along memory changes: a small square at a time, so that both sides stay in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.ir import Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.spec import KernelSpec, Signature, transpose_in_registers


@dataclass(frozen=True)
class Transpose(KernelSpec):
    """`y[…, i, …, j] = x[…, i, …, j]`, where x is contiguous along i and y along j, for any dimensions around them.

    Arguments: x, y; the extents of the `outer` dimensions; for x and then for y their strides; the extents of i and
    j, the stride of x along j, and of y along i. A block is `ROWS` of i at one place of the outer dimensions, the
    last of which goes fastest.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "y"), ("*extents", "*x_strides", "*y_strides", "rows", "columns", "x_step", "y_step")
    )

    outer: int

    ROWS: ClassVar[int] = 16

    def build(self, target: Target) -> Kernel:
        k = Builder("transpose")
        x, y = k.buffer("x"), k.buffer("y")
        extents = [k.index(f"n{d}") for d in range(self.outer)]
        strides = [[k.index(f"{name}{d}") for d in range(self.outer)] for name in ("x", "y")]
        rows, columns, x_step, y_step = k.index("rows"), k.index("columns"), k.index("x_step"), k.index("y_step")
        shares = (rows + (self.ROWS - 1)) // self.ROWS
        with k.loop(k.begin, k.end) as block:
            first, rest = block % shares * self.ROWS, block // shares
            places: list[Operand] = [first, first * y_step]
            for d in reversed(range(self.outer)):
                index, rest = rest % extents[d], rest // extents[d]
                places = [place + index * stride[d] for place, stride in zip(places, strides, strict=True)]
            source, result = k.offset(x, places[0]), k.offset(y, places[1])
            count = k.minimum(self.ROWS, rows - first)
            for size in (target.lanes, 1):
                begin = 0 if size > 1 else columns // target.lanes * target.lanes
                with k.loop(begin, columns - (size - 1), size) as column:
                    self._strip(k, target.lanes, source, result, column, size, count, x_step, y_step)
        return k.kernel()

    def _strip(
        self,
        k: Builder,
        lanes: int,
        source: Pointer,
        result: Pointer,
        column: Value,
        columns: int,
        rows: Value,
        x_step: Value,
        y_step: Value,
    ) -> None:
        """`columns` columns of a block."""
        whole = rows // lanes * lanes
        with k.loop(0, whole, lanes) as i:
            read = [k.load(source, (column + j) * x_step + i, lanes) for j in range(columns)]
            if columns == lanes:
                for row, value in enumerate(transpose_in_registers(k, read)):
                    k.store(result, (i + row) * y_step + column, value)
            else:
                for j, value in enumerate(read):
                    k.store(result, i * y_step + (column + j), value, stride=y_step)
        with k.loop(whole, rows) as i:
            for j in range(columns):
                k.store(result, i * y_step + (column + j), k.load(source, (column + j) * x_step + i))
