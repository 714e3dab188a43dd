"""Sums and maxima along axes.

Kept dimensions outside, reduced ones inside, with vectors along the innermost dimension in memory,
whether that is kept (each lane its own sum) or reduced (lanes are added at the end, first half with
second half, until one is left). A reduction that several blocks share gives partial results, which
a second kernel of the same kind combines in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.ir import Builder, Kernel, Operand, Pointer, Register, Target, Value
from opsin.kernels.spec import KernelSpec, Signature, over_lanes, over_range

START = {"sum": 0.0, "max": float("-inf")}


@dataclass(frozen=True)
class Reduce(KernelSpec):
    """`y = reduce(x)` over `reduced` dimensions, for `kept` ones, and an innermost one of stride 1.

    `channels` is the innermost extent where it is kept, or None where it is reduced.

    Arguments: x, y; for each kept dimension, outermost first, its extent, its stride in x and in y; for
    each reduced one its extent and stride; where the innermost is reduced, its extent; `shared`; `block`.
    With `shared` = 0 a block is `block` indices of the first kept dimension. With `shared` = 1 it is `block`
    indices of the first *reduced* dimension, and result number `block` lies after those before it, each of
    as many elements as the kept dimensions make.
    """

    signature: ClassVar[Signature] = Signature(("x", "y"), ("*kept", "*reduced", "*extent", "shared", "block"))

    function: str
    kept: int
    reduced: int
    channels: int | None

    def build(self, target: Target) -> Kernel:
        k = Builder("reduce")
        x, y = k.buffer("x"), k.buffer("y")
        kept = [(k.index(f"k{d}"), k.index(f"kx{d}"), k.index(f"ky{d}")) for d in range(self.kept)]
        reduced = [(k.index(f"r{d}"), k.index(f"rx{d}")) for d in range(self.reduced)]
        extent = k.index("extent") if self.channels is None else None
        shared, block = k.index("shared"), k.index("block")
        size: Operand = 1 if self.channels is None else self.channels
        for n, _, _ in kept:
            size = n * size
        with k.loop(k.begin, k.end) as number:
            first, last = number * block, number * block + block
            is_shared = k.equal(shared, 1)
            out = k.offset(y, k.select(is_shared, number * size, 0))

            def limits(own: bool, n: Value) -> tuple[Value, Value]:
                mine = is_shared if own else k.equal(shared, 0)
                return k.select(mine, first, 0), k.minimum(n, k.select(mine, last, n))

            ranges = [limits(False, n) if d == 0 else (0, n) for d, (n, _, _) in enumerate(kept)]
            inner = [limits(True, n) if d == 0 else (0, n) for d, (n, _) in enumerate(reduced)]

            def level(depth: int, source: Operand, place: Operand) -> None:
                if depth == self.kept:
                    self._cell(k, target, x, out, source, place, list(zip(inner, reduced, strict=True)), extent)
                    return
                with k.loop(*ranges[depth]) as i:
                    level(depth + 1, source + i * kept[depth][1], place + i * kept[depth][2])

            zero = k.constant(0, number.kind)
            level(0, zero, zero)
        return k.kernel()

    def _cell(
        self,
        k: Builder,
        target: Target,
        x: Pointer,
        y: Pointer,
        source: Operand,
        place: Operand,
        reduced: list[tuple[tuple[Operand, Operand], tuple[Value, Value]]],
        extent: Value | None,
    ) -> None:
        """One result, or one vector of results along a kept innermost dimension."""

        def accumulate(sum: Register, value: Value) -> None:
            sum.set(sum.get() + value if self.function == "sum" else k.maximum(sum.get(), value))

        def level(depth: int, at: Operand, body: Callable[[Operand], None]) -> None:
            if depth == self.reduced:
                body(at)
                return
            limits, (_, stride) = reduced[depth]
            with k.loop(*limits) as i:
                level(depth + 1, at + i * stride, body)

        lanes = target.lanes
        if extent is None:
            assert self.channels is not None

            def vector(first: Operand, count: int) -> None:
                sum = k.register(k.spread(START[self.function], lanes))
                level(0, source + first, lambda at: accumulate(sum, k.load(x, at, lanes, count)))
                k.store(y, place + first, sum.get(), count)

            over_lanes(k, self.channels, lanes, vector)
            return
        wide = k.register(k.spread(START[self.function], lanes))
        single = k.register(k.spread(START[self.function], 1))
        whole = extent // lanes * lanes

        def along(at: Operand) -> None:
            with k.loop(0, whole, lanes) as i:
                accumulate(wide, k.load(x, at + i, lanes))
            with k.loop(whole, extent) as i:
                accumulate(single, k.load(x, at + i))

        level(0, source, along)
        name = "add" if self.function == "sum" else "max"
        total = k.register(k.fold(name, wide.get()))
        accumulate(total, single.get())
        k.store(y, place, total.get())


@dataclass(frozen=True)
class Combine(KernelSpec):
    """`y[i] = Σ partial[s, i]`, the partial results added in order.

    Arguments: partial, y, count (elements a result), parts, block. A block is `block` elements.
    """

    signature: ClassVar[Signature] = Signature(("partial", "y"), ("count", "parts", "block"))

    def build(self, target: Target) -> Kernel:
        k = Builder("combine")
        partial, y = k.buffer("partial"), k.buffer("y")
        count, parts, block = k.index("count"), k.index("parts"), k.index("block")
        start = k.begin * block
        stop = k.minimum(count, k.end * block)

        def add(i: Operand, lanes: int) -> None:
            sum = k.register(k.load(partial, i, lanes))
            with k.loop(1, parts) as s:
                sum.set(sum.get() + k.load(partial, s * count + i, lanes))
            k.store(y, i, sum.get())

        over_range(k, start, stop, target.lanes, add)
        return k.kernel()
