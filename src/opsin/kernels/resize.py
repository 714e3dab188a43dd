"""Resizing of images of packed pixels by any separable filter, such as photographs to the size of a network's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.ir import I32, Builder, Kernel, Pointer, Target, Value
from opsin.kernels.spec import KernelSpec, Signature

CHANNELS = 3


@dataclass(frozen=True)
class ResizeSeparable(KernelSpec):
    """y[c, r, q] = Σᵢ A[r][i] · Σⱼ B[q][j] · x[start_A[r] + i, start_B[q] + j], rounded and clamped to 0…255.

    The rows of the result are computed in panels with one row in each lane. First the rows of the image are combined
    into scratch memory, one vector for each of its columns; then these vectors are combined along the columns. Both
    sums therefore read contiguous memory.

    `x` is H × row_stride i32: in each the bytes red, green, blue and an unused one, from the lowest. `y` is
    3 × OH × OW bytes, addressed as i32 of four adjacent pixels. The starts are i32, the weights OH × row_taps and
    OW × column_taps. All runs are inside the first `W` columns. `W` and `OH` are at least the number of lanes, and `OW`
    is a multiple of four. A block is one panel; the last panel overlaps the one before. Scratch: 3 × lanes × W.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "y", "row_starts", "row_weights", "column_starts", "column_weights"),
        ("row_stride", "W", "OH", "OW", "row_taps", "column_taps"),
        elements=dict.fromkeys(("x", "y", "row_starts", "column_starts"), I32),
    )

    def build(self, target: Target) -> Kernel:
        k = Builder("resize_separable")
        (x, y, row_starts, row_weights, column_starts, column_weights), words = self.bind(k)
        stride, width, out_height, out_width, row_taps, column_taps = words
        lanes = target.lanes
        with k.loop(k.begin, k.end) as panel:
            top = k.minimum(panel * lanes, out_height - lanes)
            for lane in range(lanes):
                row = top + lane
                start = k.convert("index", k.load(row_starts, row)) * stride
                weights = k.offset(row_weights, row * row_taps)
                with k.loop(0, width, lanes) as first:
                    column = k.minimum(first, width - lanes)
                    sums = _combine_rows(k, k.offset(x, start + column), weights, row_taps, stride, lanes)
                    for channel, value in enumerate(sums):
                        k.store(k.scratch, (column * CHANNELS + channel) * lanes + lane, value, stride=CHANNELS * lanes)
            with k.loop(0, out_width, 4) as first:
                channel_values: list[Value] = []
                for number in range(4):
                    column = first + number
                    start = k.convert("index", k.load(column_starts, column)) * (CHANNELS * lanes)
                    weights = k.offset(column_weights, column * column_taps)
                    sums = _combine_columns(k, k.offset(k.scratch, start), weights, column_taps, lanes)
                    bytes_ = [_to_byte(k, value) << (8 * number) for value in sums]
                    channel_values = (
                        [a | b for a, b in zip(channel_values, bytes_, strict=True)] if channel_values else bytes_
                    )
                quarter = out_width // 4
                for channel, value in enumerate(channel_values):
                    k.store(y, (out_height * channel + top) * quarter + first // 4, value, stride=quarter)
        return k.kernel()


def _combine_rows(k: Builder, source: Pointer, weights: Pointer, taps: Value, stride: Value, lanes: int) -> list[Value]:
    """Return the weighted sums of `lanes` adjacent pixels over the rows of a run, one vector for each channel."""
    sums = [k.register(k.broadcast(0.0, lanes)) for _ in range(CHANNELS)]
    with k.loop(0, taps) as tap:
        pixels, weight = k.load(source, tap * stride, lanes), k.broadcast(k.load(weights, tap), lanes)
        for channel, total in enumerate(sums):
            byte = (pixels >> (8 * channel) if channel else pixels) & 255
            total.set(k.fma(k.convert("float", byte), weight, total.get()))
    return [total.get() for total in sums]


def _combine_columns(k: Builder, source: Pointer, weights: Pointer, taps: Value, lanes: int) -> list[Value]:
    """Return the weighted sums of a panel over the columns of a run, one vector for each channel."""
    sums = [k.register(k.broadcast(0.0, lanes)) for _ in range(CHANNELS)]
    with k.loop(0, taps) as tap:
        weight = k.broadcast(k.load(weights, tap), lanes)
        for channel, total in enumerate(sums):
            value = k.load(source, (tap * CHANNELS + channel) * lanes, lanes)
            total.set(k.fma(value, weight, total.get()))
    return [total.get() for total in sums]


def _to_byte(k: Builder, value: Value) -> Value:
    """Round to the nearest whole number from 0 to 255."""
    return k.convert("int", k.minimum(k.maximum(value + 0.5, 0.0), 255.0))
