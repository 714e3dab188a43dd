"""Means and variances by channel in one pass over memory.

A few pixels at a time are read twice while they are in the first-level cache: for their mean, and for the squared
distances from it. The moments of groups of pixels are merged by the formula of Chan, Golub & LeVeque, "Updating
formulae and a pairwise algorithm for computing sample variances" (1979), which loses no digits if the mean is large
compared with the deviation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from opsin.kernels.ir import F32, Builder, Kernel, Pointer, Target, Value
from opsin.kernels.spec import KernelSpec, Signature, clear_constant, vector_loop

PIXEL_UNROLL = 8
"""Pixels that are added at a time."""
GROUP_PIXELS = 4 * PIXEL_UNROLL
"""Pixels that are read twice."""


def reference(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums and variances of the columns of `x` (pixels × channels)."""
    return x.sum(0), x.var(0)


@dataclass(frozen=True)
class Moments(KernelSpec):
    """The means and summed squared distances of each block.

    `x` is pixels × channels, `partial` is blocks × 2 × channels. A block is `block` of all `pixels`. Scratch:
    2 × channels.
    """

    signature: ClassVar[Signature] = Signature(("x", "partial"), ("pixels", "block"))

    channels: int

    def build(self, target: Target) -> Kernel:
        k = Builder("moments")
        (x, partial), (pixels, block) = self.bind(k)
        lanes, channels = target.lanes, self.channels
        means, squares = k.scratch, k.offset(k.scratch, channels)
        with k.loop(k.begin, k.end) as number:
            first, last = number * block, k.minimum(pixels, number * block + block)
            total = k.offset(partial, number * (2 * channels))
            zero = k.broadcast(0.0, lanes)
            clear_constant(k, total, 2 * channels, zero)
            with k.loop(first, last, GROUP_PIXELS) as group:
                stop = k.minimum(last, group + GROUP_PIXELS)
                count = _float(k, stop - group)
                clear_constant(k, means, 2 * channels, zero)
                self._add(k, lanes, x, means, (group, stop), None)
                share = k.broadcast(1.0 / count, lanes)
                for c, n in vector_loop(k, channels, lanes):
                    k.store(means, c, k.load(means, c, lanes, n) * share, n)
                self._add(k, lanes, x, squares, (group, stop), means)
                merge(k, lanes, channels, total, (means, squares), (_float(k, group - first), count))
        return k.kernel()

    def _add(
        self, k: Builder, lanes: int, x: Pointer, sums: Pointer, pixels: tuple[Value, Value], centre: Pointer | None
    ) -> None:
        """Add `pixels` (first, past the last), or their squared distances from `centre`, to `sums`."""
        first, last = pixels
        main_end = first + (last - first) // PIXEL_UNROLL * PIXEL_UNROLL
        for start, stop, count in ((first, main_end, PIXEL_UNROLL), (main_end, last, 1)):
            with k.loop(start, stop, count) as pixel:
                bases = [(pixel + i) * self.channels for i in range(count)]
                for c, n in vector_loop(k, self.channels, lanes):
                    total = k.load(sums, c, lanes, n)
                    mean = None if centre is None else k.load(centre, c, lanes, n)
                    for base in bases:
                        value = k.load(x, base + c, lanes, n)
                        total = total + value if mean is None else k.fma(value - mean, value - mean, total)
                    k.store(sums, c, total, n)


@dataclass(frozen=True)
class MergeMoments(KernelSpec):
    """The sums and variances of each channel, from the results of `Moments`, merged in order.

    `pixels` and `block` are those of `Moments`. There is one block. Scratch: 2 × channels.
    """

    signature: ClassVar[Signature] = Signature(("partial", "sums", "variances"), ("pixels", "block"))

    channels: int

    def build(self, target: Target) -> Kernel:
        k = Builder("merge_moments")
        (partial, sums, variances), (pixels, block) = self.bind(k)
        lanes, channels = target.lanes, self.channels
        with k.loop(k.begin, k.end):
            total = k.scratch
            clear_constant(k, total, 2 * channels, k.broadcast(0.0, lanes))
            with k.loop(0, pixels, block) as first:
                means = k.offset(partial, first // block * (2 * channels))
                count = _float(k, k.minimum(pixels - first, block))
                moments = means, k.offset(means, channels)
                merge(k, lanes, channels, total, moments, (_float(k, first), count))
            factor, share = k.broadcast(_float(k, pixels), lanes), k.broadcast(1.0 / _float(k, pixels), lanes)
            for c, n in vector_loop(k, channels, lanes):
                k.store(sums, c, k.load(total, c, lanes, n) * factor, n)
                k.store(variances, c, k.load(total, c + channels, lanes, n) * share, n)
        return k.kernel()


def merge(
    k: Builder,
    lanes: int,
    channels: int,
    total: Pointer,
    moments: tuple[Pointer, Pointer],
    counts: tuple[Value, Value],
) -> None:
    """Add `moments` (means, summed squares) of `counts[1]` pixels to `total`, which has those of `counts[0]` pixels."""
    (means, squares), (before, count) = moments, counts
    share = k.broadcast(count / (before + count), lanes)
    weight = k.broadcast(before * count / (before + count), lanes)
    for c, n in vector_loop(k, channels, lanes):
        mean = k.load(total, c, lanes, n)
        distance = k.load(means, c, lanes, n) - mean
        k.store(total, c, k.fma(distance, share, mean), n)
        sums = k.load(total, c + channels, lanes, n) + k.load(squares, c, lanes, n)
        k.store(total, c + channels, k.fma(distance * distance, weight, sums), n)


def _float(k: Builder, number: Value) -> Value:
    assert number.kind.lanes == 1
    result = k.convert("float", k.convert("i32", number))
    assert result.kind.element == F32
    return result
