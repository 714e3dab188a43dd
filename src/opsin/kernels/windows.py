"""Convolutions of 8-bit integers whose sizes are arguments, so that all layers of a program share their code.

A result is a sum over its window: the numbers of the image under the convolution's kernel, in the order of rows,
columns and channels. Here the sums are written number by number. Programs in C have functions of the same names, which
compute the same numbers with the instructions of a processor (`backends/c/functions`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.expression import add_int8, requantize
from opsin.kernels.ir import ELEMENT_BYTES, I8, I32, QUAD, Builder, Kernel, Operand, Pointer, ScalarType, Target, Value
from opsin.kernels.row_form import RowForm
from opsin.kernels.row_order import RowOrder
from opsin.kernels.spec import KernelSpec, Signature

TERMS = 4
"""The terms of a sum whose weights follow each other; there are zeros if the last are fewer."""
WORD_BYTES = ELEMENT_BYTES[I32]
WINDOW_WORDS = ("H", "W", "OH", "OW", "kh", "kw", "sh", "sw", "dh", "dw", "top", "left", "pixel", "x_zero")
"""The arguments of `Window`, in order."""
SCALE_WORDS = ("zero", "low", "high")
ADD_WORDS = ("factor", "skip_factor", "skip_bias", "shift", "add_low", "add_high")


def padded(count: int) -> int:
    """Return `count`, rounded up to whole groups of `TERMS`."""
    return -(-count // TERMS) * TERMS


@dataclass(frozen=True)
class Layout:
    """The weights of `channels` at a time, in the order in which they are read: their biases, for each group of `step`
    terms those of each channel, and their scales. Biases and scales are int32."""

    channels: int
    step: int

    def filters(self, count: int) -> int:
        """Return `count`, rounded up to whole groups."""
        return -(-count // self.channels) * self.channels

    def size(self, filters: int, terms: int) -> int:
        """Return the bytes of the weights of all `filters`."""
        return self.filters(filters) * (-(-terms // self.step) * self.step + 2 * WORD_BYTES)

    def places(self, filter: Value, terms: Value) -> tuple[Value, Value, Value]:
        """Return the bytes at which bias, weights and scale of a filter begin."""
        padded_terms = (terms + (self.step - 1)) // self.step * self.step
        size, lane = WORD_BYTES, filter % self.channels
        start = filter // self.channels * self.channels * (padded_terms + 2 * size)
        scale = start + (padded_terms + size) * self.channels
        return start + lane * size, start + self.channels * size + lane * self.step, scale + lane * size

    def weight(self, first: Value, term: Value) -> Value:
        """Return the byte of the weight of a term, if the filter's weights begin at `first`."""
        return first + term // self.step * (self.step * self.channels) + term % self.step


def load_word(k: Builder, u: Pointer, place: Value) -> Value:
    """Return the int32 at a byte of `u`, a multiple of four."""
    return k.bits(k.load_narrow(u.of(QUAD), place // WORD_BYTES), I32)


DENSE, BY_CHANNEL = Layout(4, TERMS), Layout(8, 1)
"""The weights of convolutions, and of those by channel."""


@dataclass(frozen=True)
class PackFilters(KernelSpec):
    """u = the weights w[i · step + c] for the terms i of `filters` filters c, their biases and scales, in a layout.

    There are zeros for terms and filters that are missing. A block is a filter of u.
    """

    signature: ClassVar[Signature] = Signature(
        ("w", "bias", "scale", "u"),
        ("terms", "filters", "step"),
        elements={"w": I8, "u": I8, "bias": I32, "scale": I32},
    )

    layout: Layout

    def build(self, target: Target) -> Kernel:
        k = Builder("pack_filters")
        (w, bias, scale, u), (terms, filters, step) = self.bind(k)

        def value(condition: Value, pointer: Pointer, index: Value) -> Value:
            result = k.register(k.constant(0, ScalarType(I32)))
            with k.when(condition):
                result.set(k.load(pointer, index))
            return result.get()

        with k.loop(k.begin, k.end) as filter:
            exists = filter < filters
            bias_at, first, scale_at = self.layout.places(filter, terms)
            for at, pointer in ((bias_at, bias), (scale_at, scale)):
                k.store(u.of(QUAD), at // WORD_BYTES, k.bits(value(exists, pointer, filter), QUAD))
            with k.loop(0, (terms + (self.layout.step - 1)) // self.layout.step * self.layout.step) as term:
                k.store(u, self.layout.weight(first, term), value(exists & (term < terms), w, term * step + filter))
        return k.kernel()


class Window:
    """The windows of a convolution: of images of H × W pixels of `pixel` numbers, for OH × OW results.

    kh × kw taps move by `sh` and `sw`, are `dh` and `dw` apart, and begin `top` and `left` pixels outside. Taps outside
    the image have the value `x_zero`.
    """

    def __init__(self, k: Builder, x: Pointer, words: Sequence[Value]) -> None:
        self.k, self.x, named = k, x, dict(zip(WINDOW_WORDS, words, strict=True))
        self.height, self.width, self.rows, self.columns = (named[name] for name in ("H", "W", "OH", "OW"))
        self.kernel, self.pixel = (named["kh"], named["kw"]), named["pixel"]
        self.taps = self.kernel[0] * self.kernel[1]
        self.moves = tuple(tuple(named[name] for name in axis) for axis in (("sh", "dh", "top"), ("sw", "dw", "left")))
        self.x_zero = k.convert("i32", named["x_zero"])

    def results(self) -> Iterator[tuple[Value, Value]]:
        """Yield the row, of all images, and the column of each result of a block, which is a row of results."""
        k = self.k
        with k.loop(k.begin, k.end) as row, k.loop(0, self.columns) as column:
            yield row, column

    def reads(self, row: Value, column: Value) -> Iterator[tuple[Value, Value, Value]]:
        """Yield the number of each tap, whether it is inside the image, and the index of the pixel there."""
        k, (down, across) = self.k, self.moves
        with k.loop(0, self.kernel[0]) as r, k.loop(0, self.kernel[1]) as s:
            y = row % self.rows * down[0] + r * down[1] - down[2]
            x = column * across[0] + s * across[1] - across[2]
            is_inside = (y >= 0) & (y < self.height) & (x >= 0) & (x < self.width)
            yield r * self.kernel[1] + s, is_inside, (row // self.rows * self.height + y) * self.width + x

    def number(self, is_inside: Value, pixel: Value, channel: Operand) -> Value:
        """Return a number of the image, or of the padding."""
        value = self.k.register(self.x_zero)
        with self.k.when(is_inside):
            value.set(self.k.load(self.x, pixel * self.pixel + channel))
        return value.get()


def row_order(words: Sequence[int], filters: int, rows_before: int = 0) -> dict[int, RowOrder]:
    """Return the order of a kernel with the words of `Window` that computes `filters` results for a pixel.

    Meanwhile, it may still read the windows of as many rows before.
    """
    width, out_height, out_width, stride, top, pixel = (words[i] for i in (1, 2, 3, 6, 10, 12))
    return {0: RowOrder(out_height, stride, top + rows_before * stride, width * pixel, out_width * filters)}


def one_row(spec: KernelSpec, words: Sequence[int]) -> RowForm:
    """Return the form of a kernel with the words of `Window` that computes one row."""
    named = dict(zip(WINDOW_WORDS, words, strict=False))
    span = (named["kh"] - 1) * named["dh"] + 1
    row_words = named | {"H": span, "OH": 1, "top": 0}
    window = named["OH"], span, named["sh"], named["top"], named["x_zero"]
    return RowForm(spec, (*row_words.values(), *words[len(WINDOW_WORDS) :]), 1, *window)


@dataclass(frozen=True)
class ConvWindows(KernelSpec):
    """y = clamp(zero + mulh(bias + x ∗ u, scale), low, high) for `filters` results of a pixel, `out_pixel` apart.

    `x` is the first of `channels` channels of an image, and `u` the weights kh kw C × K in the layout `DENSE`. A block
    is a row of results. Scratch, of the function in C: `scratch_words`.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "u", "y"), (*WINDOW_WORDS, "channels", "filters", "out_pixel", *SCALE_WORDS),
        elements={"x": I8, "u": I8, "y": I8},
    )  # fmt: skip

    def row_orders(self, words: Sequence[int]) -> Mapping[int, RowOrder]:
        channels, filters, out_pixel = words[len(WINDOW_WORDS) :][:3]
        # The function in C computes two pixels at a time: the first of a row with the last of the row before.
        return row_order(words, filters, words[3] % 2) if (channels, filters) == (words[12], out_pixel) else {}

    def row_form(self, words: Sequence[int], rows: int) -> RowForm | None:
        channels, filters, out_pixel = words[len(WINDOW_WORDS) :][:3]
        return one_row(self, words) if (channels, filters) == (words[12], out_pixel) else None

    @staticmethod
    def scratch_words(terms: int) -> int:
        """Return the words of a window of bytes, and of two windows that are widened to 16 bits."""
        return padded(terms) * 5 // 4

    def build(self, target: Target) -> Kernel:
        k = Builder("conv_windows")
        (x, u, *skip, y), words = self.bind(k)
        window = Window(k, x, words[: len(WINDOW_WORDS)])
        channels, filters, out_pixel, *scaling = words[len(WINDOW_WORDS) :]
        zero, low, high, *addition = (k.convert("i32", word) for word in scaling)
        for row, column in window.results():
            with k.loop(0, filters) as filter:
                bias, first, scale = DENSE.places(filter, window.taps * channels)
                total = k.register(load_word(k, u, bias))
                for tap, is_inside, pixel in window.reads(row, column):
                    with k.loop(0, channels) as channel:
                        weight = k.load(u, DENSE.weight(first, tap * channels + channel))
                        total.set(total.get() + window.number(is_inside, pixel, channel) * weight)
                factor = load_word(k, u, scale)
                result = requantize(k, total.get(), factor, zero, low, high)
                at = (row * window.columns + column) * out_pixel + filter
                for other in skip:
                    result = add_int8(k, result, k.load(other, at), *addition)
                k.store(y, at, result)
        return k.kernel()


@dataclass(frozen=True)
class ConvWindowsAdd(ConvWindows):
    """Adds an array to c, which is what `ConvWindows` stores.

    y = clamp((c · factor + skip · skip_factor + skip_bias) >> shift, add_low, add_high).
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "u", "skip", "y"), (*ConvWindows.signature.words, *ADD_WORDS),
        elements={**ConvWindows.signature.elements, "skip": I8},
    )  # fmt: skip
    elementwise: ClassVar[tuple[str, ...]] = ("skip",)


@dataclass(frozen=True)
class DepthwiseWindows(KernelSpec):
    """y = clamp(zero + mulh(bias + x ∗ u, scale), low, high), channel by channel.

    `u` is kh kw × `pixel` in the layout `BY_CHANNEL`, without weights of -128: then a sum of two products has 16 bits,
    which the function in C for MVE uses. A block is a row of results. Scratch, of the function in C: `scratch_words`.
    """

    signature: ClassVar[Signature] = Signature(
        ("x", "u", "y"), (*WINDOW_WORDS, *SCALE_WORDS), elements=ConvWindows.signature.elements
    )

    def row_orders(self, words: Sequence[int]) -> Mapping[int, RowOrder]:
        return row_order(words, words[12])

    def row_form(self, words: Sequence[int], rows: int) -> RowForm | None:
        return one_row(self, words)

    @staticmethod
    def scratch_words(channels: int, taps: int) -> int:
        """Return the words of a pixel of padding, and of two places of each tap."""
        return padded(channels) // 4 + 2 * taps

    def build(self, target: Target) -> Kernel:
        k = Builder("depthwise_windows")
        (x, u, y), words = self.bind(k)
        window = Window(k, x, words[: len(WINDOW_WORDS)])
        scaling = [k.convert("i32", word) for word in words[len(WINDOW_WORDS) :]]
        for row, column in window.results():
            with k.loop(0, window.pixel) as channel:
                bias, first, scale = BY_CHANNEL.places(channel, window.taps)
                total = k.register(load_word(k, u, bias))
                for tap, is_inside, pixel in window.reads(row, column):
                    weight = k.load(u, BY_CHANNEL.weight(first, tap))
                    total.set(total.get() + window.number(is_inside, pixel, channel) * weight)
                factor = load_word(k, u, scale)
                at = (row * window.columns + column) * window.pixel + channel
                k.store(y, at, requantize(k, total.get(), factor, *scaling))
        return k.kernel()
