"""Images of packed pixels resized by any separable filter: how photographs come to a network's size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.ir import I32, Builder, Kernel, Pointer, Target, Value
from opsin.kernels.spec import KernelSpec, Signature

CHANNELS = 3


@dataclass(frozen=True)
class ResizeSeparable(KernelSpec):
    """y[c, r, q] = Σᵢ A[r][i] · Σⱼ B[q][j] · x[start_A[r] + i, start_B[q] + j], rounded and kept within 0…255.

    A panel of rows of the result, one a lane, is gathered from whole rows of the image into scratch memory, a vector
    for each of its columns; then vectors are combined along the columns. So both sums run over contiguous memory.

    Arguments: x (i32, height × stride: red, green, blue and nothing, a byte each, from the lowest), y (bytes,
    3 × out_height × out_width, counted as i32, four neighbours in each), row starts (i32, out_height), row weights
    (out_height × row taps), column starts, column weights, stride, width, out_height, out_width, row taps, column
    taps. Every run lies inside the first `width` columns. `width` and `out_height` are at least the number of lanes,
    `out_width` is a multiple of four. A block is a panel of as many rows as there are lanes; the last one lies where it
    just fits. Scratch: 3 × lanes × width.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "y", "row_starts", "row_weights", "column_starts", "column_weights"),
        ("row_stride", "W", "OH", "OW", "row_taps", "column_taps"),
        elements=dict.fromkeys(("x", "y", "row_starts", "column_starts"), I32),
    )

    def build(self, target: Target) -> Kernel:
        k = Builder("shrink")
        x, y = k.buffer("x", I32), k.buffer("y", I32)
        row_starts, row_weights = k.buffer("row_starts", I32), k.buffer("row_weights")
        column_starts, column_weights = k.buffer("column_starts", I32), k.buffer("column_weights")
        names = ("stride", "width", "out_height", "out_width", "row_taps", "column_taps")
        stride, width, out_height, out_width, row_taps, column_taps = (k.index(name) for name in names)
        lanes = target.lanes
        with k.loop(k.begin, k.end) as panel:
            top = k.minimum(panel * lanes, out_height - lanes)
            for lane in range(lanes):
                row = top + lane
                start = k.convert("index", k.load(row_starts, row)) * stride
                weights = k.offset(row_weights, row * row_taps)
                with k.loop(0, width, lanes) as place:
                    column = k.minimum(place, width - lanes)
                    sums = _down(k, k.offset(x, start + column), weights, row_taps, stride, lanes)
                    for channel, value in enumerate(sums):
                        k.store(k.scratch, (column * CHANNELS + channel) * lanes + lane, value, stride=CHANNELS * lanes)
            with k.loop(0, out_width, 4) as first:
                packed: list[Value] = []
                for number in range(4):
                    column = first + number
                    start = k.convert("index", k.load(column_starts, column)) * (CHANNELS * lanes)
                    weights = k.offset(column_weights, column * column_taps)
                    sums = _along(k, k.offset(k.scratch, start), weights, column_taps, lanes)
                    codes = [_code(k, value) << (8 * number) for value in sums]
                    packed = [a | b for a, b in zip(packed, codes, strict=True)] if packed else codes
                quarter = out_width // 4
                for channel, value in enumerate(packed):
                    k.store(y, (out_height * channel + top) * quarter + first // 4, value, stride=quarter)
        return k.kernel()


def _down(k: Builder, source: Pointer, weights: Pointer, taps: Value, stride: Value, lanes: int) -> list[Value]:
    """`lanes` neighbouring pixels summed over the rows of a run, a vector a channel."""
    sums = [k.register(k.spread(0.0, lanes)) for _ in range(CHANNELS)]
    with k.loop(0, taps) as tap:
        pixels, weight = k.load(source, tap * stride, lanes), k.spread(k.load(weights, tap), lanes)
        for channel, total in enumerate(sums):
            code = (pixels >> (8 * channel) if channel else pixels) & 255
            total.set(k.fma(k.convert("float", code), weight, total.get()))
    return [total.get() for total in sums]


def _along(k: Builder, source: Pointer, weights: Pointer, taps: Value, lanes: int) -> list[Value]:
    """A panel's rows summed over the columns of a run, a vector a channel."""
    sums = [k.register(k.spread(0.0, lanes)) for _ in range(CHANNELS)]
    with k.loop(0, taps) as tap:
        weight = k.spread(k.load(weights, tap), lanes)
        for channel, total in enumerate(sums):
            value = k.load(source, (tap * CHANNELS + channel) * lanes, lanes)
            total.set(k.fma(value, weight, total.get()))
    return [total.get() for total in sums]


def _code(k: Builder, value: Value) -> Value:
    return k.convert("int", k.minimum(k.maximum(value + 0.5, 0.0), 255.0))
