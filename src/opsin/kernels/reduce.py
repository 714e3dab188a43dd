"""Sums and maxima along axes.

The loops over the dimensions that remain are outside, those over the reduced ones inside. Vectors run along the
innermost dimension in memory, whether it remains (each lane has its own sum) or is reduced (the lanes are combined at
the end). A reduction that is shared by several blocks gives partial results, which `Combine` adds in order.

The rounding error of a sum grows with the number of additions to one accumulator. A long sum is therefore taken in
segments, whose sums are added with a correction (Higham, "The accuracy of floating point summation", 1993).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import ClassVar

from opsin.kernels.ir import Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.spec import KernelSpec, Signature, range_loop, vector_loop
from opsin.kernels.summation import HALVES, Summation

START = {"sum": 0.0, "max": float("-inf")}
"""The initial value of each reduction."""
MIN_DIVIDED_ELEMENTS = 2**18
"""Minimum elements of a sum that is divided into segments. The sums of the zoo's classifiers in batches of 256 are
smaller, and keep their order: the largest are a loss over 256 × 1000 logits, and 4 × 224 × 224 pixels by channel."""


def segment_elements(elements: int, width: int) -> int | None:
    """Return the elements of one segment, a multiple of `width`; None if a sum of `elements` is not divided.

    `width` elements are added at a time. There are about as many segments as additions in one.
    """
    return width * isqrt(elements // width) if elements >= MIN_DIVIDED_ELEMENTS else None


def two_sum(a: Value, b: Value) -> tuple[Value, Value]:
    """Return `a + b` and its rounding error, of any finite values (Knuth, TAOCP 2, section 4.2.2)."""
    total = a + b
    b_share = total - a
    return total, (a - (total - b_share)) + (b - b_share)


def corrected(k: Builder, total: Value, correction: Value) -> Value:
    """Return `total + correction`, where `correction` is a sum of rounding errors: NaN if `total` is infinite."""
    return k.select(k.equal(total - total, 0.0), total + correction, total)


@dataclass(frozen=True)
class _Loop:
    """One dimension: its limits and its strides in x and, if it remains, in y; `segment` are its indices in one."""

    start: Operand
    stop: Value
    strides: tuple[Value, ...]
    segment: Value | None = None


@dataclass(frozen=True)
class Reduce(KernelSpec):
    """`y = reduce(x)` over `reduced` dimensions, for `kept` others and an innermost one of stride 1.

    `function` is "sum" or "max". `channels` is the extent of the innermost dimension if it is kept, or None if it is
    reduced; its extent is then the word `extent`. The words `kept` are the extent, the stride in x and the stride in y
    of each kept dimension, outermost first; `reduced` are the extent and the stride of each reduced one.

    With `shared` = 0, a block is `block` indices of the first kept dimension. With `shared` = 1, it is `block` indices
    of the first *reduced* dimension, and the partial results of the blocks are stored one after another in y.

    If `segment_loop` is not None, a sum is taken in segments. They divide the reduced dimension of that number; the
    innermost one, if reduced, has the number `reduced`. The word `segment` is the number of its indices in a segment,
    for the innermost one a multiple of the target's lanes.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "y"), ("*kept", "*reduced", "*extent", "*segment", "shared", "block")
    )

    function: str
    kept: int
    reduced: int
    channels: int | None
    segment_loop: int | None = None

    def summation(self, words: Sequence[int], target: Target) -> Summation | None:
        if self.function != "sum" or self.segment_loop is not None:
            return None
        if self.channels is not None:
            return Summation()
        return Summation(lanes=target.lanes, fold=HALVES, row=words[3 * self.kept + 2 * self.reduced])

    def build(self, target: Target) -> Kernel:
        k = Builder("reduce")
        groups = {"kept": 3 * self.kept, "reduced": 2 * self.reduced, "extent": int(self.channels is None)}
        (x, y), words = self.bind(k, **groups, segment=int(self.segment_loop is not None))
        extents, (shared, block) = words[: sum(groups.values())], words[-2:]
        segment = words[-3] if self.segment_loop is not None else None
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
                part = segment if is_reduction and d == self.segment_loop else None
                if d:
                    return _Loop(0, extent, tuple(strides), part)
                in_blocks = is_shared if is_reduction else k.equal(shared, 0)
                start, stop = k.select(in_blocks, first, 0), k.minimum(extent, k.select(in_blocks, last, extent))
                return _Loop(start, stop, tuple(strides), part)

            outer_loops = [loop(d, n, strides, False) for d, (n, *strides) in enumerate(outer_extents)]
            reduction_loops = [loop(d, n, strides, True) for d, (n, *strides) in enumerate(reduction_extents)]
            zero = k.constant(0, number.kind)
            row = None
            if self.channels is None:
                row = _Loop(0, extents[-1], (), segment if self.segment_loop == self.reduced else None)
            cell = _Cell(self, k, target.lanes, x, result, reduction_loops, row)
            for source, index in nested_loops(k, outer_loops, (zero, zero)):
                cell.emit(source, index)
        return k.kernel()


def nested_loops(
    k: Builder, loops: list[_Loop], starts: tuple[Operand, ...], end_segment: Callable[[], None] | None = None
) -> Iterator[tuple[Operand, ...]]:
    """Yield the indices in the arrays that the strides belong to, from `starts` on, inside all `loops`.

    `end_segment` emits what follows each segment of a loop that has them.
    """
    if not loops:
        yield starts
        return
    loop, *inner = loops
    for first, stop in _segments(k, loop, end_segment):
        with k.loop(first, stop) as i:
            indices = tuple(start + i * stride for start, stride in zip(starts, loop.strides, strict=True))
            yield from nested_loops(k, inner, indices, end_segment)


def _segments(k: Builder, loop: _Loop, end_segment: Callable[[], None] | None) -> Iterator[tuple[Operand, Value]]:
    """Yield the limits of each segment of `loop`, or those of the loop if it has no segments."""
    if loop.segment is None:
        yield loop.start, loop.stop
        return
    assert end_segment is not None
    with k.loop(loop.start, loop.stop, loop.segment) as first:
        yield first, k.minimum(first + loop.segment, loop.stop)
        end_segment()


class _Accumulator:
    """The running result of a reduction; if it is `divided` into segments, of the current one, next to the others."""

    def __init__(self, k: Builder, function: str, lanes: int, divided: bool) -> None:
        self._k, self._function, self._divided = k, function, divided
        self._start = k.broadcast(START[function], lanes)
        self._current = k.register(self._start)
        if divided:
            self._completed, self._correction = k.register(self._start), k.register(self._start)

    def add(self, value: Value) -> None:
        """Reduce the result and `value`."""
        self._current.set(_reduced(self._k, self._function, self._current.get(), value))

    def end_segment(self) -> None:
        """Add the sum of the current segment to that of the completed ones, and begin a new one."""
        total, error = two_sum(self._completed.get(), self._current.get())
        self._completed.set(total)
        self._correction.set(self._correction.get() + error)
        self._current.set(self._start)

    def result(self) -> Value:
        """Return the result; if it is divided, of the completed segments."""
        if not self._divided:
            return self._current.get()
        return corrected(self._k, self._completed.get(), self._correction.get())


def _reduced(k: Builder, function: str, a: Value, b: Value) -> Value:
    return a + b if function == "sum" else k.maximum(a, b)


@dataclass(frozen=True)
class _Cell:
    """Emits one result, or one vector of results along an innermost dimension that is kept; `row` is one that is
    reduced."""

    spec: Reduce
    k: Builder
    lanes: int
    x: Pointer
    y: Pointer
    loops: list[_Loop]
    row: _Loop | None

    def emit(self, source: Operand, index: Operand) -> None:
        """Reduce the elements of x from `source` on, into element `index` of y."""
        if self.row is None:
            self._vectors(source, index)
        else:
            self._scalar(source, index, self.row)

    def _accumulator(self, lanes: int) -> _Accumulator:
        return _Accumulator(self.k, self.spec.function, lanes, self.spec.segment_loop is not None)

    def _vectors(self, source: Operand, index: Operand) -> None:
        k, lanes = self.k, self.lanes
        assert self.spec.channels is not None
        for first, count in vector_loop(k, self.spec.channels, lanes):
            total = self._accumulator(lanes)
            for (at,) in nested_loops(k, self.loops, (source + first,), total.end_segment):
                total.add(k.load(self.x, at, lanes, count))
            k.store(self.y, index + first, total.result(), count)

    def _scalar(self, source: Operand, index: Operand, row: _Loop) -> None:
        k, lanes, extent = self.k, self.lanes, row.stop
        vector, tail = self._accumulator(lanes), self._accumulator(1)

        def end_segment() -> None:
            vector.end_segment()
            tail.end_segment()

        main_end = extent // lanes * lanes
        for (at,) in nested_loops(k, self.loops, (source,), end_segment):
            for first, stop in _segments(k, _Loop(0, main_end, (), row.segment), vector.end_segment):
                with k.loop(first, stop, lanes) as i:
                    vector.add(k.load(self.x, at + i, lanes))
            with k.loop(main_end, extent) as i:
                tail.add(k.load(self.x, at + i))
            if row.segment is not None:
                tail.end_segment()
        function = self.spec.function
        total = k.reduce_lanes("add" if function == "sum" else "max", vector.result())
        k.store(self.y, index, _reduced(k, function, total, tail.result()))


@dataclass(frozen=True)
class Combine(KernelSpec):
    """`y[i] = Σ partial[s, i]`, the partial results added in order.

    `partial` is parts × count. A block is `block` elements.
    """

    signature: ClassVar[Signature] = Signature(("partial", "y"), ("count", "parts", "block"))

    def build(self, target: Target) -> Kernel:
        k = Builder("combine")
        (partial, y), (count, parts, block) = self.bind(k)
        start = k.begin * block
        stop = k.minimum(count, k.end * block)
        for i, lanes in range_loop(k, start, stop, target.lanes):
            total = k.register(k.load(partial, i, lanes))
            with k.loop(1, parts) as s:
                total.set(total.get() + k.load(partial, s * count + i, lanes))
            k.store(y, i, total.get())
        return k.kernel()
