"""One pass over images that stores what it computes, sums it up by channel, or both.

The pixels lie channels last, so that a sum by channel is a row of sums to which each pixel is added; some pixels go
at a time, which saves reading and writing that row. Batch normalisation's gradients are made of such sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.expression import Expression
from opsin.kernels.ir import F32, Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.spec import KernelSpec, Signature, over_lanes

PIXELS = 4
"""Pixels that go at a time."""


@dataclass(frozen=True)
class MapReduceByChannel(KernelSpec):
    """The first `results` of the expression's results are stored, the others summed over the pixels of a block.

    Operands are `same` (an array like the results), `channel` (a value a channel) or `scalar`. Arguments: a buffer
    an operand, a result and a sum (parts × channels); pixels in all, and of a block. Sum number `block` is its own.
    """

    signature: ClassVar[Signature] = Signature(("*operands", "*results", "*sums"), ("pixels", "block"))

    expression: Expression
    operands: tuple[str, ...]
    results: int
    channels: int

    def build(self, target: Target) -> Kernel:
        k = Builder("sweep")
        operands = [k.buffer(f"x{i}") for i in range(len(self.operands))]
        results = [k.buffer(f"y{i}") for i in range(self.results)]
        sums = [k.buffer(f"s{i}") for i in range(len(self.expression.results) - self.results)]
        pixels, block = k.index("pixels"), k.index("block")
        with k.loop(k.begin, k.end) as number:
            first, last = number * block, k.minimum(pixels, number * block + block)
            own = [k.offset(s, number * self.channels) for s in sums]
            zero = k.spread(0.0, target.lanes)
            for s in own:
                over_lanes(k, self.channels, target.lanes, lambda c, n, s=s: k.store(s, c, zero, n))  # type: ignore[misc]
            whole = first + (last - first) // PIXELS * PIXELS
            with k.loop(first, whole, PIXELS) as pixel:
                self._pixels(k, target.lanes, operands, results, own, pixel, PIXELS)
            with k.loop(whole, last) as pixel:
                self._pixels(k, target.lanes, operands, results, own, pixel, 1)
        return k.kernel()

    def _pixels(
        self,
        k: Builder,
        lanes: int,
        operands: list[Pointer],
        results: list[Pointer],
        sums: list[Pointer],
        pixel: Value,
        count: int,
    ) -> None:
        """`count` pixels from `pixel` on."""
        bases = [pixel * self.channels + i * self.channels for i in range(count)]

        def vector(c: Operand, n: int) -> None:
            shared = {
                i: k.spread(k.load(buffer, 0), lanes, F32) if kind == "scalar" else k.load(buffer, c, lanes, n)
                for i, (kind, buffer) in enumerate(zip(self.operands, operands, strict=True))
                if kind != "same"
            }
            totals: list[Value | None] = [None] * len(sums)
            for base in bases:
                values = [
                    shared[i] if i in shared else k.load(buffer, base + c, lanes, n)
                    for i, buffer in enumerate(operands)
                ]
                computed = self.expression.emit(k, values)
                for buffer, value in zip(results, computed, strict=False):
                    k.store(buffer, base + c, value, n)
                for i, value in enumerate(computed[self.results :]):
                    total = totals[i]
                    totals[i] = value if total is None else total + value
            for buffer, total in zip(sums, totals, strict=True):
                assert total is not None
                k.store(buffer, c, k.load(buffer, c, lanes, n) + total, n)

        over_lanes(k, self.channels, lanes, vector)
