"""Sums and maxima along axes.

The loops over the dimensions that remain are outside, those over the reduced ones inside. Vectors run along the
innermost dimension in memory, whether it remains (each lane has its own sum) or is reduced (the lanes are combined at
the end). A reduction that is shared by several blocks gives partial results, which `Combine` adds in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.ir import Builder, Kernel, Operand, Pointer, Register, Target, Value
from opsin.kernels.spec import KernelSpec, Signature, range_loop, vector_loop

START = {"sum": 0.0, "max": float("-inf")}
"""The initial value of each reduction."""


@dataclass(frozen=True)
class _Loop:
    """One dimension: its limits and its strides in x and, if it remains, in y."""

    start: Operand
    stop: Value
    strides: tuple[Value, ...]


@dataclass(frozen=True)
class Reduce(KernelSpec):
    """`y = reduce(x)` over `reduced` dimensions, for `kept` others and an innermost one of stride 1.

    `function` is "sum" or "max". `channels` is the extent of the innermost dimension if it is kept, or None if it is
    reduced; its extent is then the word `extent`. The words `kept` are the extent, the stride in x and the stride in y
    of each kept dimension, outermost first; `reduced` are the extent and the stride of each reduced one.

    With `shared` = 0, a block is `block` indices of the first kept dimension. With `shared` = 1, it is `block` indices
    of the first *reduced* dimension, and the partial results of the blocks are stored one after another in y.
    """

    signature: ClassVar[Signature] = Signature(("x", "y"), ("*kept", "*reduced", "*extent", "shared", "block"))

    function: str
    kept: int
    reduced: int
    channels: int | None

    def build(self, target: Target) -> Kernel:
        k = Builder("reduce")
        groups = {"kept": 3 * self.kept, "reduced": 2 * self.reduced, "extent": int(self.channels is None)}
        (x, y), words = self.signature.bind(k, **groups)
        extents, (shared, block) = words[:-2], words[-2:]
        outer_extents = [extents[3 * d : 3 * d + 3] for d in range(self.kept)]
        reduction_extents = [extents[3 * self.kept + 2 * d :][:2] for d in range(self.reduced)]
        size: Operand = 1 if self.channels is None else self.channels
        for n, _, _ in outer_extents:
            size = n * size
        with k.loop(k.begin, k.end) as number:
            first, last = number * block, number * block + block
            is_shared = k.equal(shared, 1)
            result = k.offset(y, k.select(is_shared, number * size, 0))

            def loop(d: int, extent: Value, strides: list[Value], is_reduction: bool) -> _Loop:
                """Return the loop over dimension `d`; a block computes a range of the first one that blocks share."""
                if d:
                    return _Loop(0, extent, tuple(strides))
                in_blocks = is_shared if is_reduction else k.equal(shared, 0)
                start, stop = k.select(in_blocks, first, 0), k.minimum(extent, k.select(in_blocks, last, extent))
                return _Loop(start, stop, tuple(strides))

            outer_loops = [loop(d, n, strides, False) for d, (n, *strides) in enumerate(outer_extents)]
            reduction_loops = [loop(d, n, strides, True) for d, (n, *strides) in enumerate(reduction_extents)]
            zero = k.constant(0, number.kind)
            cell = _Cell(
                self, k, target.lanes, x, result, reduction_loops, extents[-1] if self.channels is None else None
            )
            for source, index in nested_loops(k, outer_loops, (zero, zero)):
                cell.emit(source, index)
        return k.kernel()


def nested_loops(k: Builder, loops: list[_Loop], starts: tuple[Operand, ...]) -> Iterator[tuple[Operand, ...]]:
    """Yield the indices in the arrays that the strides belong to, from `starts` on, inside all `loops`."""
    if not loops:
        yield starts
        return
    loop, *inner = loops
    with k.loop(loop.start, loop.stop) as i:
        indices = tuple(start + i * stride for start, stride in zip(starts, loop.strides, strict=True))
        yield from nested_loops(k, inner, indices)


@dataclass(frozen=True)
class _Cell:
    """Emits one result, or one vector of results along an innermost dimension that is kept."""

    spec: Reduce
    k: Builder
    lanes: int
    x: Pointer
    y: Pointer
    loops: list[_Loop]
    extent: Value | None

    def emit(self, source: Operand, index: Operand) -> None:
        """Reduce the elements of x from `source` on, into element `index` of y."""
        if self.extent is None:
            self._vectors(source, index)
        else:
            self._scalar(source, index, self.extent)

    def _accumulate(self, total: Register, value: Value) -> None:
        total.set(total.get() + value if self.spec.function == "sum" else self.k.maximum(total.get(), value))

    def _vectors(self, source: Operand, index: Operand) -> None:
        k, lanes = self.k, self.lanes
        assert self.spec.channels is not None
        for first, count in vector_loop(k, self.spec.channels, lanes):
            total = k.register(k.broadcast(START[self.spec.function], lanes))
            for (at,) in nested_loops(k, self.loops, (source + first,)):
                self._accumulate(total, k.load(self.x, at, lanes, count))
            k.store(self.y, index + first, total.get(), count)

    def _scalar(self, source: Operand, index: Operand, extent: Value) -> None:
        k, lanes, start = self.k, self.lanes, START[self.spec.function]
        vector, tail = k.register(k.broadcast(start, lanes)), k.register(k.broadcast(start, 1))
        main_end = extent // lanes * lanes
        for (at,) in nested_loops(k, self.loops, (source,)):
            with k.loop(0, main_end, lanes) as i:
                self._accumulate(vector, k.load(self.x, at + i, lanes))
            with k.loop(main_end, extent) as i:
                self._accumulate(tail, k.load(self.x, at + i))
        total = k.register(k.reduce_lanes("add" if self.spec.function == "sum" else "max", vector.get()))
        self._accumulate(total, tail.get())
        k.store(self.y, index, total.get())


@dataclass(frozen=True)
class Combine(KernelSpec):
    """`y[i] = Σ partial[s, i]`, the partial results added in order.

    `partial` is parts × count. A block is `block` elements.
    """

    signature: ClassVar[Signature] = Signature(("partial", "y"), ("count", "parts", "block"))

    def build(self, target: Target) -> Kernel:
        k = Builder("combine")
        (partial, y), (count, parts, block) = self.signature.bind(k)
        start = k.begin * block
        stop = k.minimum(count, k.end * block)
        for i, lanes in range_loop(k, start, stop, target.lanes):
            total = k.register(k.load(partial, i, lanes))
            with k.loop(1, parts) as s:
                total.set(total.get() + k.load(partial, s * count + i, lanes))
            k.store(y, i, total.get())
        return k.kernel()
