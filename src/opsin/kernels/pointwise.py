"""Pointwise kernels: an expression over arrays of any strides.

The loop nest follows the results' order in memory, with neighbouring dimensions merged wherever
every operand allows it, so that most kernels are one long loop over contiguous vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.expression import Expression
from opsin.kernels.ir import F32, I32, Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.spec import KernelSpec, Signature, over_lanes


@dataclass(frozen=True)
class Stream:
    """How an operand or a result goes along the innermost dimension.

    `element` is `f32`, `i32`, or `place`: no memory at all, the value is the index itself as a
    32-bit number, `Σ stride · position`. `inner` is 1 (contiguous), 0 (the same for all) or None
    (any stride, given at run time).
    """

    element: str
    inner: int | None


@dataclass(frozen=True)
class Pointwise(KernelSpec):
    """`results = expression(operands)` over `outer` loops around one innermost dimension.

    Arguments: a buffer for each stream that is not a `place` (operands, then results); then, with
    `outer` = 0, the number of elements and the elements of a block; with `outer` ≥ 1, the extents
    of the outer dimensions, outermost first, and for each stream its strides along them, and after
    these its innermost stride where `inner` is None. A block is `block` elements, or one index of
    the outermost dimension, whose innermost extent `extent` is fixed.
    """

    signature: ClassVar[Signature] = Signature(("*streams",), ("*limits", "*strides"))

    expression: Expression
    operands: tuple[Stream, ...]
    results: tuple[Stream, ...]
    outer: int
    extent: int

    MAX_OUTER: ClassVar[int] = 7

    def build(self, target: Target) -> Kernel:
        k = Builder("pointwise")
        streams = self.operands + self.results
        buffers = [
            k.buffer(f"b{i}", stream.element) if stream.element != "place" else None for i, stream in enumerate(streams)
        ]
        if self.outer == 0:
            self._flat(k, buffers, target.lanes)
        else:
            self._nested(k, buffers, target.lanes)
        return k.kernel()

    def _flat(self, k: Builder, buffers: list[Pointer | None], lanes: int) -> None:
        count, block = k.index("count"), k.index("block")
        streams = self.operands + self.results
        inner: list[Operand] = [
            k.index(f"s{i}") if stream.inner is None else stream.inner for i, stream in enumerate(streams)
        ]
        start = k.begin * block
        stop = k.minimum(k.end * block, count)
        whole = start + (stop - start) // lanes * lanes
        bases: list[Operand] = [0] * len(streams)
        with k.loop(start, whole, lanes) as i:
            self._compute(k, buffers, bases, inner, i, lanes, lanes)
        with k.loop(whole, stop) as i:
            self._compute(k, buffers, bases, inner, i, 1, 1)

    def _nested(self, k: Builder, buffers: list[Pointer | None], lanes: int) -> None:
        extents = [k.index(f"n{d}") for d in range(self.outer)]
        streams = self.operands + self.results
        strides: list[list[Value]] = []
        inner: list[Operand] = []
        for number, stream in enumerate(streams):
            strides.append([k.index(f"s{number}_{d}") for d in range(self.outer)])
            inner.append(k.index(f"s{number}") if stream.inner is None else stream.inner)

        def level(depth: int, bases: list[Operand]) -> None:
            if depth == self.outer:

                def body(first: Operand, count: int) -> None:
                    self._compute(k, buffers, bases, inner, first, count, lanes if self.extent > 1 else 1)

                over_lanes(k, self.extent, lanes, body)
                return
            start, stop = (k.begin, k.end) if depth == 0 else (0, extents[depth])
            with k.loop(start, stop) as i:
                level(depth + 1, [base + i * stride[depth] for base, stride in zip(bases, strides, strict=True)])

        level(0, [k.constant(0, k.begin.kind) for _ in streams])

    def _compute(
        self,
        k: Builder,
        buffers: list[Pointer | None],
        bases: list[Operand],
        inner: list[Operand],
        first: Operand,
        count: int,
        lanes: int,
    ) -> None:
        """One vector of results: `count` of `lanes` elements from `first` on."""
        streams = self.operands + self.results
        at = [base + first * step if not _is(step, 0) else base for base, step in zip(bases, inner, strict=True)]
        values: list[Value] = []
        for number, stream in enumerate(self.operands):
            buffer, place, step = buffers[number], at[number], inner[number]
            if buffer is None:
                values.append(_places(k, place, step, lanes))
            elif _is(step, 0):
                values.append(k.spread(k.load(buffer, place), lanes, stream.element))
            else:
                values.append(k.load(buffer, place, lanes, min(count, lanes), step))
        for offset, value in enumerate(self.expression.emit(k, values)):
            number = len(self.operands) + offset
            buffer = buffers[number]
            assert buffer is not None, streams[number]
            k.store(buffer, at[number], value, min(count, lanes), inner[number])


def _is(step: Operand, number: int) -> bool:
    return isinstance(step, int) and step == number


def _places(k: Builder, place: Operand, step: Operand, lanes: int) -> Value:
    start = k.convert("i32", k.constant(place, k.begin.kind))
    if lanes == 1:
        return start
    if _is(step, 0):
        return k.spread(start, lanes, I32)
    stride = k.convert("i32", k.constant(step, k.begin.kind))
    return k.spread(start, lanes, I32) + k.lane_numbers(lanes) * k.spread(stride, lanes, I32)


FLOATS = Stream(F32, 1)
"""Contiguous float32."""
