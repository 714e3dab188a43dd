"""Max and average pooling, forward and gradient.

A window inside the image is unrolled if it is small. A window that crosses the border, or a large one, is computed by
loops over its pixels inside the image. Padding is never materialized. Gradients are computed for whole images;
each block adds only to its own image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.argmax import is_better
from opsin.kernels.ir import I8, I32, Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.row_form import RowForm
from opsin.kernels.row_order import RowOrder
from opsin.kernels.spec import KernelSpec, Signature, clear, loop_or_unroll, vector_loop
from opsin.kernels.summation import COLUMN, ROW, Summation

POOL_WORDS = ("H", "W", "OH", "OW", "top", "left")
"""The arguments of `PoolSizes`, in order."""
MAX_UNROLLED_PIXELS = 16
"""Windows of up to this many pixels are unrolled."""


@dataclass(frozen=True)
class PoolSizes:
    """The words of a pooling kernel: sizes of the images and results, and rows and columns of padding before them."""

    height: Value
    width: Value
    out_height: Value
    out_width: Value
    top: Value
    left: Value


@dataclass(frozen=True)
class PoolWindow:
    """The pixels of one window that are inside the image, and the index of its result.

    `top` and `left` are the image's row and column under the window's first pixel (negative in the padding). `rows` and
    `columns` are the ranges (first, past the last) inside, as Python numbers if the window is to be unrolled.
    """

    top: Value
    left: Value
    rows: tuple[Operand, Operand]
    columns: tuple[Operand, Operand]
    width: int
    row_stride: Value
    channels: int
    result: Value

    @property
    def is_unrolled(self) -> bool:
        """Whether the ranges are known when the kernel is built."""
        return all(isinstance(limit, int) for limit in self.rows + self.columns)

    @property
    def first(self) -> Operand:
        """The number of the first pixel inside."""
        return self.rows[0] * self.width + self.columns[0]

    def pixels(self, k: Builder) -> Iterator[tuple[Value, Operand]]:
        """Yield (index of the first channel, number in the window) of each pixel inside, in row-major order."""
        for i in loop_or_unroll(k, *self.rows):
            row = (self.top + i) * self.row_stride + self.left * self.channels
            for j in loop_or_unroll(k, *self.columns):
                yield row + j * self.channels, i * self.width + j


def _pixel_number(k: Builder, number: Operand, lanes: int) -> Value:
    """Return a pixel's number in every lane, to compare with."""
    scalar = k.convert("i32", number) if isinstance(number, Value) else number
    return k.broadcast(scalar, lanes, I32)


@dataclass(frozen=True)
class Pool(KernelSpec):
    """The fields of the pooling kernels.

    `window` and `stride` are (rows, columns). `clamp`: windows may cross the image's border, because of padding or
    `ceil_mode`; without it, every window must be inside, and `top` and `left` are 0.
    """

    channels: int
    window: tuple[int, int]
    stride: tuple[int, int]
    clamp: bool

    def _row_order(self, words: Sequence[int]) -> RowOrder:
        """Return the order of forward pooling; the first of `words` are `POOL_WORDS`."""
        _, width, out_height, out_width, top, _ = words[: len(POOL_WORDS)]
        return RowOrder(out_height, self.stride[0], top, width * self.channels, out_width * self.channels)

    def _one_row(self, words: Sequence[int], fill: float | int | None) -> RowForm:
        """Return the form of forward pooling that computes one row."""
        _, width, out_height, out_width, top, left = words[: len(POOL_WORDS)]
        row_words = (self.window[0], width, 1, out_width, 0, left, *words[len(POOL_WORDS) :])
        return RowForm(self, row_words, 1, out_height, self.window[0], self.stride[0], top, fill)

    def _windows(self, k: Builder, sizes: PoolSizes, row: Value) -> Iterator[PoolWindow]:
        """Yield the windows of result row `row`; the code that uses them may be emitted for two cases."""
        (kh, kw), (sh, sw) = self.window, self.stride
        top = row * sh - sizes.top
        row_stride = sizes.width * self.channels
        with k.loop(0, sizes.out_width) as column:
            left = column * sw - sizes.left
            result = (row * sizes.out_width + column) * self.channels
            interior_window = PoolWindow(top, left, (0, kh), (0, kw), kw, row_stride, self.channels, result)
            rows = (k.maximum(0 - top, 0), k.minimum(sizes.height - top, kh))
            columns = (k.maximum(0 - left, 0), k.minimum(sizes.width - left, kw))
            border_window = PoolWindow(top, left, rows, columns, kw, row_stride, self.channels, result)
            if kh * kw > MAX_UNROLLED_PIXELS:
                yield border_window
            elif not self.clamp:
                yield interior_window
            else:
                rows_inside = (top >= 0) & (top + kh <= sizes.height)
                columns_inside = (left >= 0) & (left + kw <= sizes.width)
                with k.when(rows_inside & columns_inside) as branch:
                    yield interior_window
                with k.otherwise(branch):
                    yield border_window

    def _images(
        self, k: Builder, sizes: PoolSizes, image_buffers: list[Pointer], result_buffers: list[Pointer]
    ) -> Iterator[list[Pointer]]:
        """Yield the pointers into `image_buffers` and `result_buffers` for every image of the kernel's blocks."""
        with k.loop(k.begin, k.end) as image:
            large_offset = image * (sizes.height * sizes.width * self.channels)
            small_offset = image * (sizes.out_height * sizes.out_width * self.channels)
            yield [k.offset(buffer, large_offset) for buffer in image_buffers] + [
                k.offset(b, small_offset) for b in result_buffers
            ]

    def _rows(self, k: Builder, sizes: PoolSizes, x: Pointer, y: Pointer) -> Iterator[tuple[Pointer, Pointer, Value]]:
        """Yield, for every row of results of the kernel's blocks, (image, results of the image, number of the row)."""
        with k.loop(k.begin, k.end) as block:
            image, row = block // sizes.out_height, block % sizes.out_height
            source = k.offset(x, image * (sizes.height * sizes.width * self.channels))
            yield source, k.offset(y, image * (sizes.out_height * sizes.out_width * self.channels)), row


@dataclass(frozen=True)
class MaxPool(Pool):
    """The maximum of every window; a NaN is propagated, and padding counts as −∞.

    `x` is N × H × W × channels, `y` is N × OH × OW × channels; `top` and `left` are rows and columns of padding. A
    block is one row of y.
    """

    signature: ClassVar[Signature] = Signature(("x", "y"), POOL_WORDS)

    def row_orders(self, words: Sequence[int]) -> Mapping[int, RowOrder]:
        return {0: self._row_order(words)}

    def row_form(self, words: Sequence[int], rows: int) -> RowForm | None:
        return self._one_row(words, -128 if self.element("x") == I8 else float("-inf"))

    def build(self, target: Target) -> Kernel:
        k = Builder("max_pool")
        (x, y), words = self.bind(k)
        sizes = PoolSizes(*words)
        for source, result, row in self._rows(k, sizes, x, y):
            for window in self._windows(k, sizes, row):
                self._window(k, source, result, window, target.lanes)
        return k.kernel()

    def _window(self, k: Builder, x: Pointer, y: Pointer, window: PoolWindow, lanes: int) -> None:
        for first, count in vector_loop(k, self.channels, lanes):
            is_whole = self.element("x") == I8
            smallest = k.broadcast(-128, lanes, I32) if is_whole else k.broadcast(float("-inf"), lanes)
            maximum = k.register(smallest)
            for index, _ in window.pixels(k):
                value, before = k.load(x, index + first, lanes, count), maximum.get()
                # `maximum` propagates a NaN of its second operand, and the selection one of the first.
                larger = k.maximum(before, value)
                maximum.set(larger if is_whole else k.select(k.equal(before, before), larger, before))
            k.store(y, window.result + first, maximum.get(), count)


@dataclass(frozen=True)
class AvgPool(Pool):
    """The mean of every window, with PyTorch's rules for the divisor.

    With `count_include_pad` the divisor counts the window's pixels in the image and its padding, otherwise those in the
    image alone; pixels beyond the padding (`ceil_mode`) never count.

    The arrays are those of `MaxPool`; `top`, `left`, `bottom` and `right` are rows and columns of padding. A block is
    one row of y.
    """

    signature: ClassVar[Signature] = Signature(("x", "y"), (*POOL_WORDS, "bottom", "right"))

    count_include_pad: bool

    def summation(self, words: Sequence[int], target: Target) -> Summation:
        return Summation((ROW, COLUMN))

    def row_orders(self, words: Sequence[int]) -> Mapping[int, RowOrder]:
        return {0: self._row_order(words)}

    def row_form(self, words: Sequence[int], rows: int) -> RowForm | None:
        form = self._one_row(words, None)
        # The divisor of a window at the border depends on the row.
        return form if words[4] == words[6] == 0 and (rows - 1) * self.stride[0] + self.window[0] <= words[0] else None

    def build(self, target: Target) -> Kernel:
        k = Builder("avg_pool")
        (x, y), (*words, bottom, right) = self.bind(k)
        sizes = PoolSizes(*words)
        for source, result, row in self._rows(k, sizes, x, y):
            for window in self._windows(k, sizes, row):
                scale = _reciprocal(k, window, sizes, (bottom, right), self)
                self._window(k, source, result, window, scale, target.lanes)
        return k.kernel()

    def _window(self, k: Builder, x: Pointer, y: Pointer, window: PoolWindow, scale: Operand, lanes: int) -> None:
        for first, count in vector_loop(k, self.channels, lanes):
            total = k.register(k.broadcast(0.0, lanes))
            for index, _ in window.pixels(k):
                total.set(total.get() + k.load(x, index + first, lanes, count))
            k.store(y, window.result + first, total.get() * scale, count)


@dataclass(frozen=True)
class MaxPoolGradient(Pool):
    """The gradient of `MaxPool`: each number of `g` is added to the first maximum, in row-major order, of its window.

    The maxima are found again from x; the first NaN counts as one. `tiles`: the windows cover the image exactly and
    without overlap, so every element of dx is written once; otherwise the gradients are added up from zero.

    `x` and `dx` are N × H × W × channels, `g` is N × OH × OW × channels. A block is one image.
    """

    signature: ClassVar[Signature] = Signature(("x", "g", "dx"), POOL_WORDS)

    tiles: bool

    def build(self, target: Target) -> Kernel:
        k = Builder("max_pool_gradient")
        (x, g, dx), words = self.bind(k)
        sizes = PoolSizes(*words)
        for source, sums, gradient in self._images(k, sizes, [x, dx], [g]):
            for row in _cleared_rows(k, self, sizes, sums, self.tiles, target.lanes):
                for window in self._windows(k, sizes, row):
                    self._window(k, source, gradient, sums, window, target.lanes)
        return k.kernel()

    def _window(self, k: Builder, x: Pointer, g: Pointer, dx: Pointer, window: PoolWindow, lanes: int) -> None:
        for first, count in vector_loop(k, self.channels, lanes):
            maximum = k.register(k.broadcast(float("-inf"), lanes))
            argmax = k.register(_pixel_number(k, window.first, lanes))
            for index, number in window.pixels(k):
                value, before = k.load(x, index + first, lanes, count), maximum.get()
                is_greater = is_better(k, value, before)
                maximum.set(k.select(is_greater, value, before))
                argmax.set(k.select(is_greater, _pixel_number(k, number, lanes), argmax.get()))
            gradient = k.load(g, window.result + first, lanes, count)
            for index, number in window.pixels(k):
                is_argmax = k.equal(argmax.get(), _pixel_number(k, number, lanes))
                _add(k, dx, index + first, k.select(is_argmax, gradient, 0.0), count, self.tiles)


@dataclass(frozen=True)
class AvgPoolGradient(Pool):
    """The gradient of `AvgPool`: each number of `g`, divided by the same divisor, is added to all pixels of its window.

    `tiles` and the arrays are those of `MaxPoolGradient`; `top`, `left`, `bottom` and `right` are rows and columns of
    padding. A block is one image.
    """

    signature: ClassVar[Signature] = Signature(("g", "dx"), (*POOL_WORDS, "bottom", "right"))

    count_include_pad: bool
    tiles: bool

    def build(self, target: Target) -> Kernel:
        k = Builder("avg_pool_gradient")
        (g, dx), (*words, bottom, right) = self.bind(k)
        sizes = PoolSizes(*words)
        for sums, gradient in self._images(k, sizes, [dx], [g]):
            for row in _cleared_rows(k, self, sizes, sums, self.tiles, target.lanes):
                for window in self._windows(k, sizes, row):
                    scale = _reciprocal(k, window, sizes, (bottom, right), self)
                    self._window(k, gradient, sums, window, scale, target.lanes)
        return k.kernel()

    def _window(self, k: Builder, g: Pointer, dx: Pointer, window: PoolWindow, scale: Operand, lanes: int) -> None:
        for first, count in vector_loop(k, self.channels, lanes):
            share = k.load(g, window.result + first, lanes, count) * scale
            for index, _ in window.pixels(k):
                _add(k, dx, index + first, share, count, self.tiles)


def _reciprocal(
    k: Builder, window: PoolWindow, sizes: PoolSizes, after: tuple[Value, Value], pool: AvgPool | AvgPoolGradient
) -> Operand:
    """Return 1 / the divisor of one window; `after` are the rows and columns of padding after the image."""
    kh, kw = pool.window
    if window.is_unrolled or not pool.clamp:
        return 1.0 / (kh * kw)
    if pool.count_include_pad:
        rows = k.minimum(sizes.height + after[0] - window.top, kh)
        columns = k.minimum(sizes.width + after[1] - window.left, kw)
    else:
        rows, columns = (k.maximum(stop - start, 0) for start, stop in (window.rows, window.columns))
    count = k.convert("i32", k.maximum(rows * columns, 1))
    return 1.0 / k.convert("float", count)


def _cleared_rows(k: Builder, pool: Pool, sizes: PoolSizes, dx: Pointer, tiles: bool, lanes: int) -> Iterator[Value]:
    """Yield the rows of results whose gradients are added to `dx`, and clear its rows in time.

    A row of `dx` is cleared just before the first window that reaches it, when its memory is about to be used anyway.
    """
    row_stride = sizes.width * pool.channels
    if not tiles:
        clear_end = k.register(k.constant(0, k.begin.kind))
    with k.loop(0, sizes.out_height) as row:
        if not tiles:
            window_end = k.minimum(row * pool.stride[0] - sizes.top + pool.window[0], sizes.height)
            window_end = k.maximum(window_end, clear_end.get())
            clear(k, dx, clear_end.get() * row_stride, window_end * row_stride, lanes)
            clear_end.set(window_end)
        yield row
    if not tiles:
        clear(k, dx, clear_end.get() * row_stride, sizes.height * row_stride, lanes)


def _add(k: Builder, buffer: Pointer, index: Value, value: Value, count: int, overwrite: bool) -> None:
    """Add `value` to `buffer`, or store it if `overwrite` is set."""
    if not overwrite:
        value = k.load(buffer, index, value.kind.lanes, count) + value
    k.store(buffer, index, value, count)
