"""Images of bytes moved, coloured and normalised in one sweep: what training shows a network of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.ir import F32, I32, U8, Builder, Kernel, Operand, Pointer, ScalarType, Target, Value
from opsin.kernels.spec import KernelSpec, Signature


@dataclass(frozen=True)
class _Image:
    """What is the same for all pixels of one image; the planes of its channels are bytes."""

    planes: list[Pointer]
    width: Value
    last_row: tuple[Value, Value]
    last_column: tuple[Value, Value]
    """As i32 and as float32."""
    steps: tuple[Value, Value]
    colour: list[Value]
    scales: list[Value]
    shifts: list[Value]


@dataclass(frozen=True)
class Warp(KernelSpec):
    """y[r, c] = clamp(M x[p, q] + b) · scale + shift where p = a₀ + a₁r + a₂c and q = a₃ + a₄r + a₅c; 0 inside a box.

    x[p, q] is the nearest pixel, or where `smooth` is set interpolated bilinearly; beyond the edge, the edge repeats.
    M b (channels × (channels + 1), on values from 0 to 255, kept within these) only where `coloured` is set. Products
    and sums are rounded one by one, so that every processor gives the same bits.

    Arguments: x (bytes, N × channels × height × width), y (N × out_height × out_width × channels), a (N × 6), M b
    (N × channels × (channels + 1); not read unless `coloured`), boxes (i32, N × 4: top, bottom, left, right in pixels
    of y), scale and shift (one a channel), height, width, out_height, out_width. A block is one source.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "y", "maps", "colours", "boxes", "scale", "shift"),
        ("H", "W", "OH", "OW"),
        elements={"x": U8, "boxes": I32},
    )

    channels: int
    smooth: bool
    coloured: bool

    def build(self, target: Target) -> Kernel:
        k = Builder("warp")
        x, y, maps, colours = k.buffer("x", U8), k.buffer("y"), k.buffer("maps"), k.buffer("colours")
        boxes, scale, shift = k.buffer("boxes", I32), k.buffer("scale"), k.buffer("shift")
        height, width, rows, columns = (k.index(name) for name in ("height", "width", "out_height", "out_width"))
        scales, shifts = ([k.load(buffer, channel) for channel in range(self.channels)] for buffer in (scale, shift))
        last_row, last_column = (_both(k, k.convert("i32", size - 1)) for size in (height, width))
        size, parts = self.channels * (self.channels + 1), _parts(columns, target.lanes)
        with k.loop(k.begin, k.end) as sample:
            planes = [k.offset(x, (sample * self.channels + c) * height * width) for c in range(self.channels)]
            goal = k.offset(y, sample * rows * columns * self.channels)
            a = [k.load(maps, sample * 6 + i) for i in range(6)]
            colour = [k.load(colours, sample * size + i) for i in range(size)] if self.coloured else []
            source = _Image(
                planes, k.convert("i32", width), last_row, last_column, (a[2], a[5]), colour, scales, shifts
            )
            with k.loop(0, rows) as row:
                r = k.convert("float", k.convert("i32", row))
                start, line = (a[0] + a[1] * r, a[3] + a[4] * r), k.offset(goal, row * columns * self.channels)
                for lanes, first, stop in parts:
                    with k.loop(first, stop, lanes) as column:
                        self._pixels(k, source, start, column, line, lanes)
            self._clear(k, goal, columns, [k.convert("index", k.load(boxes, sample * 4 + i)) for i in range(4)])
        return k.kernel()

    def _pixels(
        self, k: Builder, source: _Image, start: tuple[Value, Value], column: Value, line: Pointer, lanes: int
    ) -> None:
        """`lanes` pixels of a line of the result; `start` is where its first one lies in the source."""
        number = k.spread(k.convert("i32", column), lanes, I32)
        c = k.convert("float", number + k.lane_numbers(lanes) if lanes > 1 else number)
        p, q = (first + step * c for first, step in zip(start, source.steps, strict=True))
        values = self._smooth(k, source, p, q) if self.smooth else self._nearest(k, source, p, q)
        if self.coloured:
            values = self._colour(k, source.colour, values)
        for channel, value in enumerate(values):
            shown = value * source.scales[channel] + source.shifts[channel]
            k.store(line, column * self.channels + channel, shown, stride=self.channels)

    def _nearest(self, k: Builder, source: _Image, p: Value, q: Value) -> list[Value]:
        """The source's values (0…255) at the pixels nearest to rows `p` and columns `q`, a channel each."""
        row, column = (
            k.convert("int", _within(k, place + 0.5, last))
            for place, (_, last) in ((p, source.last_row), (q, source.last_column))
        )
        places = row * source.width + column
        return [k.convert("float", k.load_bytes(plane, places)) for plane in source.planes]

    def _smooth(self, k: Builder, source: _Image, p: Value, q: Value) -> list[Value]:
        """As `_nearest`, from the four pixels around."""
        row, column = _within(k, p, source.last_row[1]), _within(k, q, source.last_column[1])
        top, left = k.convert("int", row), k.convert("int", column)
        down, along = row - k.convert("float", top), column - k.convert("float", left)
        bottom, right = k.minimum(top + 1, source.last_row[0]), k.minimum(left + 1, source.last_column[0])
        upper, lower = top * source.width, bottom * source.width
        places = [upper + left, upper + right, lower + left, lower + right]
        mixed = []
        for plane in source.planes:
            a, b, c, d = (k.convert("float", k.load_bytes(plane, place)) for place in places)
            above, below = a + (b - a) * along, c + (d - c) * along
            mixed.append(above + (below - above) * down)
        return mixed

    def _colour(self, k: Builder, colour: list[Value], values: list[Value]) -> list[Value]:
        """M x + b, within 0…255."""
        coloured = []
        for channel in range(self.channels):
            *factors, offset = colour[channel * (self.channels + 1) : (channel + 1) * (self.channels + 1)]
            total = values[0] * factors[0] + offset
            for factor, value in zip(factors[1:], values[1:], strict=True):
                total = total + value * factor
            coloured.append(k.minimum(k.maximum(total, 0.0), 255.0))
        return coloured

    def _clear(self, k: Builder, goal: Pointer, columns: Value, box: list[Value]) -> None:
        """Zeros in the box."""
        top, bottom, left, right = box
        with k.loop(top, bottom) as row, k.loop(left * self.channels, right * self.channels) as place:
            k.store(goal, row * columns * self.channels + place, k.constant(0.0, ScalarType(F32)))


def _parts(count: Value, lanes: int) -> list[tuple[int, Operand, Value]]:
    """The places from 0 to `count`, so many lanes at a time: whole vectors, fours, and what is left one by one."""
    parts: list[tuple[int, Operand, Value]] = []
    done: Operand = 0
    for size in sorted({lanes, 4}, reverse=True):
        stop = count // size * size
        parts.append((size, done, stop))
        done = stop
    return [*parts, (1, done, count)]


def _both(k: Builder, value: Value) -> tuple[Value, Value]:
    """An i32 as it is, and as float32."""
    return value, k.convert("float", value)


def _within(k: Builder, value: Value, last: Value) -> Value:
    """`value` kept between 0 and `last`."""
    return k.maximum(k.minimum(value, last), 0.0)
