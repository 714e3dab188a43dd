"""Sums and variances by channel in one pass over memory.

A few pixels at a time are read twice while they are in the nearest cache: for their mean, and for the squared
distances from it. What several groups of pixels give is merged by the formula of Chan, Golub & LeVeque, "Updating
formulae and a pairwise algorithm for computing sample variances" (1979), which loses no digits where the mean is
large beside the deviation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.ir import F32, Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.spec import KernelSpec, Signature, over_lanes

PIXELS = 8
"""Pixels added up at a time."""
GROUP = 4 * PIXELS
"""Pixels that are read twice."""


@dataclass(frozen=True)
class Moments(KernelSpec):
    """Mean and squared distances for the pixels of a block: partial is parts × 2 × channels.

    Arguments: x (pixels × channels), partial, pixels in all, and of a block. Scratch: 2 × channels.
    """

    signature: ClassVar[Signature] = Signature(("x", "partial"), ("pixels", "block"))

    channels: int

    def build(self, target: Target) -> Kernel:
        k = Builder("moments")
        x, partial = k.buffer("x"), k.buffer("partial")
        pixels, block = k.index("pixels"), k.index("block")
        lanes, channels = target.lanes, self.channels
        means, squares = k.scratch, k.offset(k.scratch, channels)
        with k.loop(k.begin, k.end) as number:
            first, last = number * block, k.minimum(pixels, number * block + block)
            out = k.offset(partial, number * (2 * channels))
            zero = k.spread(0.0, lanes)
            over_lanes(k, 2 * channels, lanes, lambda c, n: k.store(out, c, zero, n))
            with k.loop(first, last, GROUP) as group:
                stop = k.minimum(last, group + GROUP)
                count = _real(k, stop - group)
                over_lanes(k, 2 * channels, lanes, lambda c, n: k.store(means, c, zero, n))
                self._add(k, lanes, x, means, group, stop, None)
                share = k.spread(1.0 / count, lanes)
                over_lanes(k, channels, lanes, lambda c, n: k.store(means, c, k.load(means, c, lanes, n) * share, n))
                self._add(k, lanes, x, squares, group, stop, means)
                before = _real(k, group - first)
                merge(k, lanes, channels, out, means, squares, before, count)
        return k.kernel()

    def _add(
        self, k: Builder, lanes: int, x: Pointer, into: Pointer, first: Value, last: Value, centre: Pointer | None
    ) -> None:
        """Adds up the pixels, or their squared distances from `centre`."""

        def pixels(pixel: Value, count: int) -> None:
            bases = [(pixel + i) * self.channels for i in range(count)]

            def vector(c: Operand, n: int) -> None:
                total = k.load(into, c, lanes, n)
                mean = None if centre is None else k.load(centre, c, lanes, n)
                for base in bases:
                    value = k.load(x, base + c, lanes, n)
                    total = total + value if mean is None else k.fma(value - mean, value - mean, total)
                k.store(into, c, total, n)

            over_lanes(k, self.channels, lanes, vector)

        whole = first + (last - first) // PIXELS * PIXELS
        with k.loop(first, whole, PIXELS) as pixel:
            pixels(pixel, PIXELS)
        with k.loop(whole, last) as pixel:
            pixels(pixel, 1)


@dataclass(frozen=True)
class MergeMoments(KernelSpec):
    """The parts of `Moments` in order: sums and variances of each channel.

    Arguments: partial, sums, variances, pixels in all, and of a part. One block. Scratch: 2 × channels.
    """

    signature: ClassVar[Signature] = Signature(("partial", "sums", "variances"), ("pixels", "block"))

    channels: int

    def build(self, target: Target) -> Kernel:
        k = Builder("merge_moments")
        partial, sums, variances = k.buffer("partial"), k.buffer("sums"), k.buffer("variances")
        pixels, block = k.index("pixels"), k.index("block")
        lanes, channels = target.lanes, self.channels
        with k.loop(k.begin, k.end):
            total = k.scratch
            zero = k.spread(0.0, lanes)
            over_lanes(k, 2 * channels, lanes, lambda c, n: k.store(total, c, zero, n))
            with k.loop(0, pixels, block) as first:
                part = k.offset(partial, first // block * (2 * channels))
                count = _real(k, k.minimum(pixels - first, block))
                merge(k, lanes, channels, total, part, k.offset(part, channels), _real(k, first), count)
            all_, share = k.spread(_real(k, pixels), lanes), k.spread(1.0 / _real(k, pixels), lanes)

            def finish(c: Operand, n: int) -> None:
                k.store(sums, c, k.load(total, c, lanes, n) * all_, n)
                k.store(variances, c, k.load(total, c + channels, lanes, n) * share, n)

            over_lanes(k, channels, lanes, finish)
        return k.kernel()


def merge(
    k: Builder, lanes: int, channels: int, total: Pointer, means: Pointer, squares: Pointer, before: Value, count: Value
) -> None:
    """Adds the moments of `count` pixels to `total`, means and then squares, which hold those of `before` pixels."""
    share = k.spread(count / (before + count), lanes)
    weight = k.spread(before * count / (before + count), lanes)

    def vector(c: Operand, n: int) -> None:
        mean = k.load(total, c, lanes, n)
        distance = k.load(means, c, lanes, n) - mean
        k.store(total, c, k.fma(distance, share, mean), n)
        own = k.load(total, c + channels, lanes, n) + k.load(squares, c, lanes, n)
        k.store(total, c + channels, k.fma(distance * distance, weight, own), n)

    over_lanes(k, channels, lanes, vector)


def _real(k: Builder, number: Value) -> Value:
    assert number.kind.lanes == 1
    result = k.convert("float", k.convert("i32", number))
    assert result.kind.element == F32
    return result
