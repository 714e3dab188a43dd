"""Copies that change which dimension is contiguous, one small square at a time, so that both sides stay in the
cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.ir import Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.spec import KernelSpec, Signature, transpose_in_registers


@dataclass(frozen=True)
class Transpose(KernelSpec):
    """`y[…, i, …, j] = x[…, i, …, j]`; x is contiguous along i and y along j. There are `outer` other dimensions.

    `extents`, `x_strides` and `y_strides` are those of the outer dimensions. `rows` is the extent of i, `columns` that
    of j, `x_step` the stride of x along j, and `y_step` that of y along i. A block is `ROWS` indices i at one index of
    the outer dimensions, the last of which varies fastest.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "y"), ("*extents", "*x_strides", "*y_strides", "rows", "columns", "x_step", "y_step")
    )

    outer: int

    ROWS: ClassVar[int] = 16

    def build(self, target: Target) -> Kernel:
        k = Builder("transpose")
        (x, y), words = self.bind(k, extents=self.outer, x_strides=self.outer, y_strides=self.outer)
        extents, x_strides, y_strides = (words[i * self.outer : (i + 1) * self.outer] for i in range(3))
        rows, columns, x_step, y_step = words[3 * self.outer :]
        blocks = (rows + (self.ROWS - 1)) // self.ROWS
        with k.loop(k.begin, k.end) as block:
            first, rest = block % blocks * self.ROWS, block // blocks
            indices: list[Operand] = [first, first * y_step]
            for d in reversed(range(self.outer)):
                index, rest = rest % extents[d], rest // extents[d]
                strides = (x_strides[d], y_strides[d])
                indices = [at + index * stride for at, stride in zip(indices, strides, strict=True)]
            source, result = k.offset(x, indices[0]), k.offset(y, indices[1])
            strip = _Strip(k, target.lanes, source, result, k.minimum(self.ROWS, rows - first), x_step, y_step)
            for size in (target.lanes, 1):
                begin = 0 if size > 1 else columns // target.lanes * target.lanes
                with k.loop(begin, columns - (size - 1), size) as column:
                    strip.emit(column, size)
        return k.kernel()


@dataclass(frozen=True)
class _Strip:
    """Emits a copy of some columns of a block of `rows` rows."""

    k: Builder
    lanes: int
    source: Pointer
    result: Pointer
    rows: Value
    x_step: Value
    y_step: Value

    def emit(self, column: Value, columns: int) -> None:
        """Copy `columns` columns from `column` on."""
        k, lanes, x_step, y_step = self.k, self.lanes, self.x_step, self.y_step
        main_end = self.rows // lanes * lanes
        with k.loop(0, main_end, lanes) as i:
            vectors = [k.load(self.source, (column + j) * x_step + i, lanes) for j in range(columns)]
            if columns == lanes:
                for row, value in enumerate(transpose_in_registers(k, vectors)):
                    k.store(self.result, (i + row) * y_step + column, value)
            else:
                for j, value in enumerate(vectors):
                    k.store(self.result, i * y_step + (column + j), value, stride=y_step)
        with k.loop(main_end, self.rows) as i:
            for j in range(columns):
                k.store(self.result, i * y_step + (column + j), k.load(self.source, (column + j) * x_step + i))
