"""Rows of a table by their numbers, and sums of rows by number with an epilogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.ir import I32, Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.spec import KernelSpec, Signature, clear, clear_constant, copy_constant, range_loop, vector_loop
from opsin.kernels.tile import PLAIN, Epilogue


@dataclass(frozen=True)
class Gather(KernelSpec):
    """`y[p] = table[indices[p]]`, or 0 if the index is outside; all arrays are dense, rows of `features` numbers.

    There are `count` indices, and `rows` in the table. A block is `block` indices.
    """

    signature: ClassVar[Signature] = Signature(
        ("table", "indices", "y"), ("count", "rows", "block"), elements={"indices": I32}
    )

    features: int

    def build(self, target: Target) -> Kernel:
        k = Builder("gather")
        (table, indices, y), (count, rows, block) = self.bind(k)
        with k.loop(k.begin * block, k.minimum(k.end * block, count)) as p:
            row, result = k.convert("index", k.load(indices, p)), k.offset(y, p * self.features)
            with k.when(_is_inside(row, 0, rows)) as branch:
                copy_constant(k, k.offset(table, row * self.features), result, self.features, target.lanes)
            with k.otherwise(branch):
                clear_constant(k, result, self.features, k.broadcast(0, target.lanes))
        return k.kernel()


@dataclass(frozen=True)
class ScatterAdd(KernelSpec):
    """`y[v] = epilogue(Σ g[p] over the p with indices[p] = v, in their order)`; all arrays are dense.

    There are `count` indices, and `rows` results of `features` numbers, which are also the epilogue's columns. A block
    is `block` results, whose sums are in scratch memory, `block` × `features` numbers. It reads all indices, several
    at a time, and only the rows of g that it adds. Thus no sum is in memory if the epilogue is an optimizer's update.
    """

    signature: ClassVar[Signature] = Signature(
        ("indices", "g"), ("count", "rows", "block"), epilogue=True, elements={"indices": I32}
    )

    features: int
    epilogue: Epilogue = PLAIN

    def build(self, target: Target) -> Kernel:
        k = Builder("scatter_add")
        (indices, g), (count, rows, block) = self.bind(k)
        epilogue = self.epilogue.bind(k, self.element)
        with k.loop(k.begin, k.end) as number:
            first = number * block
            end = k.minimum(first + block, rows)
            clear(k, k.scratch, 0, (end - first) * self.features, target.lanes)
            for at, n in range_loop(k, 0, count, target.lanes):
                values = k.load(indices, at, n)
                low, high = (k.broadcast(k.convert("i32", v), n, I32) for v in (first, end))
                is_here = _is_inside(values, low, high)
                if n == 1:
                    with k.when(is_here):
                        self._add(k, target, g, at, k.convert("index", values) - first)
                else:
                    with k.when(k.reduce_lanes("max", k.select(is_here, k.broadcast(1, n, I32), 0)) > 0):
                        self._add_some(k, target, indices, g, at, n, first, end)
            with k.loop(first, end) as row:
                for i, n in vector_loop(k, self.features, target.lanes):
                    value = k.load(k.scratch, (row - first) * self.features + i, target.lanes, n)
                    epilogue.store(value, row * self.features + i, i, n)
        return k.kernel()

    def _add_some(
        self, k: Builder, target: Target, indices: Pointer, g: Pointer, at: Operand, n: int, first: Value, end: Value
    ) -> None:
        """Add the rows of `g` from `at` to `at + n` whose indices are from `first` up to `end`."""
        with k.loop(at, at + n) as p:
            row = k.convert("index", k.load(indices, p))
            with k.when(_is_inside(row, first, end)):
                self._add(k, target, g, p, row - first)

    def _add(self, k: Builder, target: Target, g: Pointer, p: Operand, row: Value) -> None:
        """Add row `p` of `g` to row `row` of the block."""
        source, sums = k.offset(g, p * self.features), k.offset(k.scratch, row * self.features)
        for i, n in vector_loop(k, self.features, target.lanes):
            k.store(sums, i, k.load(sums, i, target.lanes, n) + k.load(source, i, target.lanes, n), n)


def _is_inside(row: Value, first: Operand, end: Operand) -> Value:
    return (row >= first) & (row < end)
