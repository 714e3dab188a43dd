"""Pointwise kernels: an expression over arrays of any strides.

The loops follow the order of the results in memory. Adjacent dimensions are merged if every operand allows it, so most
kernels are one long loop over contiguous vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from opsin.kernels.expression import Expression
from opsin.kernels.ir import F32, I32, WIDE, Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.row_form import RowForm
from opsin.kernels.row_order import RowOrder, in_order
from opsin.kernels.spec import KernelSpec, Signature, vector_loop


@dataclass(frozen=True)
class Stream:
    """An operand or a result, and how it is read or written along the innermost dimension.

    `element` is `f32`, `bf16`, `i32`, `i8`, or `place`: no memory, the value is the index as a 32-bit number,
    `Σ stride · position`. `inner` is the stride: 1 (contiguous), 0 (one element for all) or None (any stride, given at
    run time).
    """

    element: str
    inner: int | None


@dataclass(frozen=True)
class Pointwise(KernelSpec):
    """`results = expression(operands)` in `outer` loops around one innermost dimension.

    There is a pointer for each stream that is not a `place`, operands first. With `outer` = 0, the words `limits` are
    the number of elements and the elements of a block; with `outer` ≥ 1, they are the extents of the outer dimensions,
    outermost first. The words `strides` are, for each stream, its strides along the outer dimensions and, if `inner` is
    None, its innermost stride. A block is as many elements as `limits` says, or one index of the outermost dimension;
    the innermost dimension then has `extent` elements.
    """

    signature: ClassVar[Signature] = Signature(("*streams",), ("*limits", "*strides"))

    expression: Expression
    operands: tuple[Stream, ...]
    results: tuple[Stream, ...]
    outer: int
    extent: int

    MAX_OUTER: ClassVar[int] = 7

    def typed(self, elements: Mapping[str, str]) -> Self:
        """Return the specification itself: its streams say what their elements are."""
        return self

    def row_orders(self, words: Sequence[int]) -> Mapping[int, RowOrder]:
        if self.outer or any(stream.inner != 1 for stream in self.results):
            return {}
        arrays = [stream for stream in self.operands if stream.element != "place"]
        return {number: in_order(words[0]) for number, stream in enumerate(arrays) if stream.inner == 1}

    def row_form(self, words: Sequence[int], rows: int) -> RowForm | None:
        orders = self.row_orders(words)
        if not orders or any(stream.element == "place" and stream.inner for stream in self.operands):
            return None
        row = words[0] // rows
        return RowForm(self, (row, row, *words[2:]), 1, rows, images=tuple(orders))

    def build(self, target: Target) -> Kernel:
        k = Builder("pointwise")
        buffers = [
            k.buffer(f"stream{i}", stream.element) if stream.element != "place" else None
            for i, stream in enumerate(self.operands + self.results)
        ]
        if self.outer == 0:
            self._flat(k, buffers, target.lanes)
        else:
            self._nested(k, buffers, target.lanes)
        return k.kernel()

    def _flat(self, k: Builder, buffers: list[Pointer | None], lanes: int) -> None:
        """Emit one loop over all elements of the blocks."""
        count, block = k.index("count"), k.index("block")
        streams = self.operands + self.results
        steps: list[Operand] = [
            k.index(f"stride{i}") if stream.inner is None else stream.inner for i, stream in enumerate(streams)
        ]
        vector = _Vector(self, k, buffers, [0] * len(streams), steps)
        start = k.begin * block
        stop = k.minimum(k.end * block, count)
        main_end = start + (stop - start) // lanes * lanes
        with k.loop(start, main_end, lanes) as i:
            vector.emit(i, lanes, lanes)
        with k.loop(main_end, stop) as i:
            vector.emit(i, 1, 1)

    def _nested(self, k: Builder, buffers: list[Pointer | None], lanes: int) -> None:
        """Emit nested loops over the outer dimensions, and one over the innermost dimension."""
        extents = [k.index(f"extent{d}") for d in range(self.outer)]
        strides: list[list[Value]] = []
        steps: list[Operand] = []
        for number, stream in enumerate(self.operands + self.results):
            strides.append([k.index(f"stride{number}_{d}") for d in range(self.outer)])
            steps.append(k.index(f"stride{number}") if stream.inner is None else stream.inner)

        def level(depth: int, bases: list[Operand]) -> None:
            if depth == self.outer:
                vector = _Vector(self, k, buffers, bases, steps)
                for first, count in vector_loop(k, self.extent, lanes):
                    vector.emit(first, count, lanes if self.extent > 1 else 1)
                return
            start, stop = (k.begin, k.end) if depth == 0 else (0, extents[depth])
            with k.loop(start, stop) as i:
                level(depth + 1, [base + i * stride[depth] for base, stride in zip(bases, strides, strict=True)])

        level(0, [k.constant(0, k.begin.kind) for _ in strides])


@dataclass(frozen=True)
class _Vector:
    """Emits one vector of results; `bases` and `steps` are the first index and the innermost stride of each stream."""

    spec: Pointwise
    k: Builder
    buffers: list[Pointer | None]
    bases: list[Operand]
    steps: list[Operand]

    def emit(self, first: Operand, count: int, lanes: int) -> None:
        """Compute `count` of `lanes` elements from `first` on."""
        k, spec = self.k, self.spec
        indices = [
            base + first * step if not _is(step, 0) else base for base, step in zip(self.bases, self.steps, strict=True)
        ]
        values: list[Value] = []
        for number, stream in enumerate(spec.operands):
            buffer, index, step = self.buffers[number], indices[number], self.steps[number]
            if buffer is None:
                values.append(_index_vector(k, index, step, lanes))
            elif _is(step, 0):
                values.append(k.broadcast(k.load(buffer, index), lanes, WIDE.get(stream.element, stream.element)))
            else:
                values.append(k.load(buffer, index, lanes, min(count, lanes), step))
        for number, value in enumerate(spec.expression.emit(k, values), start=len(spec.operands)):
            buffer = self.buffers[number]
            assert buffer is not None, (spec.operands + spec.results)[number]
            k.store(buffer, indices[number], value, min(count, lanes), self.steps[number])


def _is(step: Operand, number: int) -> bool:
    return isinstance(step, int) and step == number


def _index_vector(k: Builder, index: Operand, step: Operand, lanes: int) -> Value:
    """Return `index`, `index + step`, … as i32."""
    start = k.convert("i32", k.constant(index, k.begin.kind))
    if lanes == 1:
        return start
    if _is(step, 0):
        return k.broadcast(start, lanes, I32)
    stride = k.convert("i32", k.constant(step, k.begin.kind))
    return k.broadcast(start, lanes, I32) + k.iota(lanes) * k.broadcast(stride, lanes, I32)


FLOATS = Stream(F32, 1)
"""Contiguous float32."""
