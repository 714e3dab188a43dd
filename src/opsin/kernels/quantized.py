"""Small kernels for 8-bit integers: tables, average pooling, and biases that undo an offset of the factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.expression import requantize
from opsin.kernels.ir import I8, I32, Builder, Kernel, Pointer, Target, Value
from opsin.kernels.pool import POOL_WORDS, Pool, PoolSizes, PoolWindow
from opsin.kernels.row_form import RowForm
from opsin.kernels.row_order import RowOrder, in_order
from opsin.kernels.spec import KernelSpec, Signature, vector_loop


@dataclass(frozen=True)
class OffsetBias(KernelSpec):
    """y[c] = bias[c] - 128 · Σ w[i, c], for sums in which 128 has been added to every other factor.

    `w` is terms × channels of int8. A block is one vector of channels.
    """

    signature: ClassVar[Signature] = Signature(
        ("w", "bias", "y"), ("terms",), elements={"w": I8, "bias": I32, "y": I32}
    )

    channels: int

    def build(self, target: Target) -> Kernel:
        k = Builder("offset_bias")
        (w, bias, y), (terms,) = self.bind(k)
        lanes = target.lanes
        main_end, tail = self.channels // lanes, self.channels % lanes
        for first, last, count in (
            (k.begin, k.minimum(k.end, main_end), lanes),
            (k.maximum(k.begin, main_end), k.end, tail),
        ):
            if not count:
                continue
            with k.loop(first, last) as block:
                c = block * lanes
                total = k.register(k.broadcast(0, lanes, I32))
                with k.loop(0, terms) as i:
                    total.set(total.get() + k.load(w, i * self.channels + c, lanes, count))
                k.store(y, c, k.load(bias, c, lanes, count) - (total.get() << 7), count)
        return k.kernel()


@dataclass(frozen=True)
class Lookup(KernelSpec):
    """y = table[x + 128], for each of `channels` that follow each other by a table of its own.

    A block is up to `block` of the `count` elements, a multiple of the channels.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "table", "y"), ("count", "block"), elements={"x": I8, "table": I8, "y": I8}
    )

    channels: int = 1

    def row_orders(self, words: Sequence[int]) -> Mapping[int, RowOrder]:
        return {0: in_order(words[0])}

    def row_form(self, words: Sequence[int], rows: int) -> RowForm | None:
        row = words[0] // rows
        return RowForm(self, (row, row), 1, rows)

    def build(self, target: Target) -> Kernel:
        is_shared = target.shares_kernels and self.channels == 1
        k, lanes = Builder("lookup_bytes" if is_shared else "lookup"), target.lanes
        (x, table, y), (count, block) = self.bind(k)
        start, stop = k.begin * block, k.minimum(k.end * block, count)
        # As many vectors as there are channels hold the same channels in the same lanes again.
        period = self.channels * lanes
        main_end = start + (stop - start) // period * period
        with k.loop(start, main_end, period) as i:
            for first in range(0, period, lanes):
                tables = (k.iota(lanes) + first) % self.channels * 256 + 128
                k.store(y, i + first, k.load_bytes(table, k.load(x, i + first, lanes) + tables))
        with k.loop(main_end, stop) as i:
            row = k.convert("i32", i % self.channels) * 256 + 128
            k.store(y, i, k.load_bytes(table, k.load(x, i) + row))
        return k.kernel()


@dataclass(frozen=True)
class AvgPoolWhole(Pool):
    """clamp(zero + mulh(sum + bias, multiplier), low, high) of the sum of every window, of int8.

    Pixels of the padding have the value `x_zero` and count. `scaling` is (multiplier, zero, low, high). The arrays and
    blocks are those of `MaxPool`.
    """

    signature: ClassVar[Signature] = Signature(("x", "y"), (*POOL_WORDS, "x_zero", "bias"), elements={"x": I8, "y": I8})

    scaling: tuple[int, int, int, int]

    def row_orders(self, words: Sequence[int]) -> Mapping[int, RowOrder]:
        return {0: self._row_order(words)}

    def row_form(self, words: Sequence[int], rows: int) -> RowForm | None:
        return self._one_row(words, words[len(POOL_WORDS)])

    def build(self, target: Target) -> Kernel:
        k = Builder("avg_pool_whole")
        (x, y), (*words, x_zero, bias) = self.bind(k)
        sizes = PoolSizes(*words)
        for source, result, row in self._rows(k, sizes, x, y):
            for window in self._windows(k, sizes, row):
                rows, columns = (
                    k.constant(last, k.begin.kind) - first for first, last in (window.rows, window.columns)
                )
                # A window of padding alone has no rows or no columns, and its limits may be in reverse order.
                inside = k.maximum(rows, 0) * k.maximum(columns, 0)
                outside = k.constant(self.window[0] * self.window[1], k.begin.kind) - inside
                start = k.convert("i32", outside * x_zero + bias)
                self._window(k, source, result, window, start, target.lanes)
        return k.kernel()

    def _window(self, k: Builder, x: Pointer, y: Pointer, window: PoolWindow, start: Value, lanes: int) -> None:
        multiplier, zero, low, high = self.scaling
        for first, count in vector_loop(k, self.channels, lanes):
            total = k.register(k.broadcast(start, lanes, I32))
            for index, _ in window.pixels(k):
                total.set(total.get() + k.load(x, index + first, lanes, count))
            k.store(y, window.result + first, requantize(k, total.get(), multiplier, zero, low, high), count)
