"""Augmentation of images of bytes in one pass: an affine map, a linear map of the colors, and normalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.ir import F32, I32, U8, Builder, Kernel, Operand, Pointer, ScalarType, Target, Value
from opsin.kernels.spec import KernelSpec, Signature


@dataclass(frozen=True)
class _Image:
    """The values that all pixels of one image share; the planes of its channels are bytes."""

    planes: list[Pointer]
    width: Value
    last_row: tuple[Value, Value]
    last_column: tuple[Value, Value]
    """As i32 and as float32, like `last_row`."""
    steps: tuple[Value, Value]
    color: list[Value]
    scales: list[Value]
    shifts: list[Value]


@dataclass(frozen=True)
class Warp(KernelSpec):
    """y[r, c] = clamp(M x[p, q] + b) · scale + shift with p = a₀ + a₁r + a₂c and q = a₃ + a₄r + a₅c; 0 inside a box.

    x[p, q] is the nearest pixel, or a bilinear interpolation if `bilinear` is set; the edge pixels are repeated outside
    the image. M and b are applied to values from 0 to 255, and the results clamped to this range, only if `colors` is
    set. Products and sums are rounded separately, so the results are bit-identical on all processors.

    `x` is N × channels × H × W bytes, and `y` is N × OH × OW × channels. `maps` is N × 6 (a), `colors` is
    N × channels × (channels + 1) (M and b; it is not read unless `colors` is set), `boxes` is N × 4 i32 (top, bottom,
    left, right in pixels of y), and `scale` and `shift` have one value for each channel. A block is one image.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "y", "maps", "colors", "boxes", "scale", "shift"),
        ("H", "W", "OH", "OW"),
        elements={"x": U8, "boxes": I32},
    )

    channels: int
    bilinear: bool
    colors: bool

    def build(self, target: Target) -> Kernel:
        k = Builder("warp")
        (x, y, maps, colors, boxes, scale, shift), (height, width, rows, columns) = self.bind(k)
        scales, shifts = ([k.load(buffer, channel) for channel in range(self.channels)] for buffer in (scale, shift))
        last_row, last_column = (_int_and_float(k, k.convert("i32", size - 1)) for size in (height, width))
        size, ranges = self.channels * (self.channels + 1), _vector_ranges(columns, target.lanes)
        with k.loop(k.begin, k.end) as sample:
            planes = [k.offset(x, (sample * self.channels + c) * height * width) for c in range(self.channels)]
            result = k.offset(y, sample * rows * columns * self.channels)
            a = [k.load(maps, sample * 6 + i) for i in range(6)]
            color = [k.load(colors, sample * size + i) for i in range(size)] if self.colors else []
            source = _Image(planes, k.convert("i32", width), last_row, last_column, (a[2], a[5]), color, scales, shifts)
            with k.loop(0, rows) as row:
                r = k.convert("float", k.convert("i32", row))
                start, line = (a[0] + a[1] * r, a[3] + a[4] * r), k.offset(result, row * columns * self.channels)
                for lanes, first, stop in ranges:
                    with k.loop(first, stop, lanes) as column:
                        self._pixels(k, source, start, column, line, lanes)
            self._clear_box(k, result, columns, [k.convert("index", k.load(boxes, sample * 4 + i)) for i in range(4)])
        return k.kernel()

    def _pixels(
        self, k: Builder, source: _Image, start: tuple[Value, Value], column: Value, line: Pointer, lanes: int
    ) -> None:
        """Emit `lanes` pixels of a line of the result; `start` is the position of the line's first pixel in the
        source."""
        number = k.broadcast(k.convert("i32", column), lanes, I32)
        c = k.convert("float", number + k.iota(lanes) if lanes > 1 else number)
        p, q = (first + step * c for first, step in zip(start, source.steps, strict=True))
        values = self._bilinear(k, source, p, q) if self.bilinear else self._nearest(k, source, p, q)
        if self.colors:
            values = self._map_colors(k, source.color, values)
        for channel, value in enumerate(values):
            result = value * source.scales[channel] + source.shifts[channel]
            k.store(line, column * self.channels + channel, result, stride=self.channels)

    def _nearest(self, k: Builder, source: _Image, p: Value, q: Value) -> list[Value]:
        """Return the source's values (0…255) at the pixels nearest to rows `p` and columns `q`, for each channel."""
        row, column = (
            k.convert("int", _clamp(k, position + 0.5, last))
            for position, (_, last) in ((p, source.last_row), (q, source.last_column))
        )
        indices = row * source.width + column
        return [k.convert("float", k.load_bytes(plane, indices)) for plane in source.planes]

    def _bilinear(self, k: Builder, source: _Image, p: Value, q: Value) -> list[Value]:
        """Return the values interpolated from the four pixels around, for each channel."""
        row, column = _clamp(k, p, source.last_row[1]), _clamp(k, q, source.last_column[1])
        top, left = k.convert("int", row), k.convert("int", column)
        row_fraction, column_fraction = row - k.convert("float", top), column - k.convert("float", left)
        bottom, right = k.minimum(top + 1, source.last_row[0]), k.minimum(left + 1, source.last_column[0])
        top_row, bottom_row = top * source.width, bottom * source.width
        corners = [top_row + left, top_row + right, bottom_row + left, bottom_row + right]
        values = []
        for plane in source.planes:
            a, b, c, d = (k.convert("float", k.load_bytes(plane, corner)) for corner in corners)
            top_value, bottom_value = a + (b - a) * column_fraction, c + (d - c) * column_fraction
            values.append(top_value + (bottom_value - top_value) * row_fraction)
        return values

    def _map_colors(self, k: Builder, color: list[Value], values: list[Value]) -> list[Value]:
        """Return M x + b, clamped to 0…255."""
        results = []
        for channel in range(self.channels):
            *factors, offset = color[channel * (self.channels + 1) : (channel + 1) * (self.channels + 1)]
            total = values[0] * factors[0] + offset
            for factor, value in zip(factors[1:], values[1:], strict=True):
                total = total + value * factor
            results.append(k.minimum(k.maximum(total, 0.0), 255.0))
        return results

    def _clear_box(self, k: Builder, result: Pointer, columns: Value, box: list[Value]) -> None:
        """Write zeros inside the box."""
        top, bottom, left, right = box
        with k.loop(top, bottom) as row, k.loop(left * self.channels, right * self.channels) as i:
            k.store(result, row * columns * self.channels + i, k.constant(0.0, ScalarType(F32)))


def _vector_ranges(count: Value, lanes: int) -> list[tuple[int, Operand, Value]]:
    """Divide `count` elements into ranges (lanes, first, stop): whole vectors, vectors of four, and single elements."""
    ranges: list[tuple[int, Operand, Value]] = []
    begin: Operand = 0
    for size in sorted({lanes, 4}, reverse=True):
        stop = count // size * size
        ranges.append((size, begin, stop))
        begin = stop
    return [*ranges, (1, begin, count)]


def _int_and_float(k: Builder, value: Value) -> tuple[Value, Value]:
    """Return an i32 as it is, and as float32."""
    return value, k.convert("float", value)


def _clamp(k: Builder, value: Value, last: Value) -> Value:
    """Clamp `value` to the range from 0 to `last`."""
    return k.maximum(k.minimum(value, last), 0.0)
