"""One pass over images that stores the results of an expression, sums them by channel, or both.

Images are channels last, so a sum by channel is a row of sums to which each pixel is added. Several pixels are added at
a time, which saves loads and stores of that row. The gradients of batch normalization consist of such sums. Long sums
are taken in segments, for accuracy (see `reduce`): a segment has its own row of sums, which is added at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from opsin.kernels.expression import Expression
from opsin.kernels.ir import F32, Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.reduce import corrected, two_sum
from opsin.kernels.spec import KernelSpec, Signature, clear_constant, vector_loop
from opsin.kernels.summation import COLUMN, ROW, Summation

PIXEL_UNROLL = 4
"""Pixels that are added at a time."""


@dataclass(frozen=True)
class MapReduceByChannel(KernelSpec):
    """The first `results` results of the expression are stored; the others are summed over the pixels of a block.

    Each operand is `same` (an array like the results), `channel` (one value for each channel) or `scalar`. `results`
    and `operands` that are `same` are pixels × channels, and each array of `sums` is blocks × channels. A block is
    `block` of all `pixels`. If the sums are `divided` into segments, the word `segment` is the pixels of one, a
    multiple of `PIXEL_UNROLL`. Scratch, if `divided`: 2 × sums × channels.
    """

    signature: ClassVar[Signature] = Signature(("*operands", "*results", "*sums"), ("pixels", "*segment", "block"))

    expression: Expression
    operands: tuple[str, ...]
    results: int
    channels: int
    divided: bool = False

    @property
    def sums(self) -> int:
        """The number of results that are summed."""
        return len(self.expression.results) - self.results

    def summation(self, words: Sequence[int], target: Target) -> Summation | None:
        if self.divided:
            return None
        return Summation((ROW, COLUMN), segment=words[-1], unroll=PIXEL_UNROLL)

    def build(self, target: Target) -> Kernel:
        k = Builder("map_reduce_by_channel")
        sizes = {"operands": len(self.operands), "results": self.results, "sums": self.sums}
        pointers, words = self.bind(k, **sizes, segment=int(self.divided))
        pixels, block = words[0], words[-1]
        operands, rest = pointers[: len(self.operands)], pointers[len(self.operands) :]
        results, sums = rest[: self.results], rest[self.results :]
        with k.loop(k.begin, k.end) as number:
            first, last = number * block, k.minimum(pixels, number * block + block)
            block_sums = [k.offset(s, number * self.channels) for s in sums]
            zero = k.broadcast(0.0, target.lanes)
            for s in block_sums:
                clear_constant(k, s, self.channels, zero)
            step = _Step(self, k, target.lanes, operands, results, block_sums)
            main_end = first + (last - first) // PIXEL_UNROLL * PIXEL_UNROLL
            if self.divided:
                self._segments(k, step, first, main_end, words[1])
            else:
                with k.loop(first, main_end, PIXEL_UNROLL) as pixel:
                    step.emit(pixel, PIXEL_UNROLL)
            with k.loop(main_end, last) as pixel:
                step.emit(pixel, 1)
        return k.kernel()

    def _segments(self, k: Builder, step: _Step, start: Value, stop: Value, segment: Value) -> None:
        """Emit the computation from pixel `start` up to `stop`; each segment is summed in scratch memory first."""
        lanes, channels = step.lanes, self.channels
        rows = [k.offset(k.scratch, number * channels) for number in range(2 * self.sums)]
        segment_sums, corrections = rows[: self.sums], rows[self.sums :]
        segment_step = replace(step, sums=segment_sums)
        zero = k.broadcast(0.0, lanes)
        for row in corrections:
            clear_constant(k, row, channels, zero)
        with k.loop(start, stop, segment) as first:
            for row in segment_sums:
                clear_constant(k, row, channels, zero)
            with k.loop(first, k.minimum(first + segment, stop), PIXEL_UNROLL) as pixel:
                segment_step.emit(pixel, PIXEL_UNROLL)
            for total, row, correction in zip(step.sums, segment_sums, corrections, strict=True):
                for c, n in vector_loop(k, channels, lanes):
                    value, error = two_sum(k.load(total, c, lanes, n), k.load(row, c, lanes, n))
                    k.store(total, c, value, n)
                    k.store(correction, c, k.load(correction, c, lanes, n) + error, n)
        for total, correction in zip(step.sums, corrections, strict=True):
            for c, n in vector_loop(k, channels, lanes):
                k.store(total, c, corrected(k, k.load(total, c, lanes, n), k.load(correction, c, lanes, n)), n)


@dataclass(frozen=True)
class _Step:
    """Emits the computation for several pixels."""

    spec: MapReduceByChannel
    k: Builder
    lanes: int
    operands: list[Pointer]
    results: list[Pointer]
    sums: list[Pointer]

    def emit(self, pixel: Value, count: int) -> None:
        """Compute `count` pixels from `pixel` on."""
        k, lanes, channels = self.k, self.lanes, self.spec.channels
        bases = [pixel * channels + i * channels for i in range(count)]
        for c, n in vector_loop(k, channels, lanes):
            channel_values = self._shared(c, n)
            totals: list[Value | None] = [None] * len(self.sums)
            for base in bases:
                values = [
                    channel_values[i] if i in channel_values else k.load(buffer, base + c, lanes, n)
                    for i, buffer in enumerate(self.operands)
                ]
                results = self.spec.expression.emit(k, values)
                for buffer, value in zip(self.results, results, strict=False):
                    k.store(buffer, base + c, value, n)
                for i, value in enumerate(results[self.spec.results :]):
                    total = totals[i]
                    totals[i] = value if total is None else total + value
            for buffer, total in zip(self.sums, totals, strict=True):
                assert total is not None
                k.store(buffer, c, k.load(buffer, c, lanes, n) + total, n)

    def _shared(self, channel: Operand, count: int) -> dict[int, Value]:
        """Load the operands that are the same for all pixels, by their numbers."""
        k, lanes = self.k, self.lanes
        return {
            i: k.broadcast(k.load(buffer, 0), lanes, F32) if kind == "scalar" else k.load(buffer, channel, lanes, count)
            for i, (kind, buffer) in enumerate(zip(self.spec.operands, self.operands, strict=True))
            if kind != "same"
        }
