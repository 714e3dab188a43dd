"""Max and average pooling, forward and gradient.

A window that lies inside the image is unrolled when it is small; one that reaches over the
border, or a large one, is walked by loops at run time over the part of it that is inside. Padding
is never materialised. Gradients work on whole images, so that each adds only to the image of its
own block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.argmax import is_better
from opsin.kernels.ir import I32, Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.spec import KernelSpec, Signature, clear, each, over_lanes

POOL_WORDS = ("H", "W", "OH", "OW", "top", "left")
"""The arguments of `PoolSizes`, in order."""
UNROLLED = 16
"""The most pixels of a window that is unrolled."""


@dataclass(frozen=True)
class PoolSizes:
    """The whole numbers that a pooling kernel is given when it runs."""

    height: Value
    width: Value
    out_height: Value
    out_width: Value
    top: Value
    left: Value

    @classmethod
    def of(cls, k: Builder) -> PoolSizes:
        return cls(*(k.index(name) for name in POOL_WORDS))


@dataclass(frozen=True)
class PoolWindow:
    """The part of one window that lies inside the image, and the place of its result.

    `top` and `left` are the image's row and column under the window's first pixel (negative in the
    padding); `rows` and `columns` are the first and past-last ones of the window that are inside,
    Python's numbers where the window is to be unrolled.
    """

    top: Value
    left: Value
    rows: tuple[Operand, Operand]
    columns: tuple[Operand, Operand]
    row_numbers: int
    row_stride: Value
    channels: int
    result: Value

    @property
    def whole(self) -> bool:
        return all(isinstance(limit, int) for limit in self.rows + self.columns)

    @property
    def first(self) -> Operand:
        """The number of the first pixel inside."""
        return self.rows[0] * self.row_numbers + self.columns[0]

    def pixels(self, k: Builder) -> Iterator[tuple[Value, Operand]]:
        """Each pixel inside, in row-major order: the place of its first channel, and its number in the window."""
        for i in each(k, *self.rows):
            row = (self.top + i) * self.row_stride + self.left * self.channels
            for j in each(k, *self.columns):
                yield row + j * self.channels, i * self.row_numbers + j


def _lane_number(k: Builder, number: Operand, lanes: int) -> Value:
    """A pixel's number in every lane, to compare with."""
    scalar = k.convert("i32", number) if isinstance(number, Value) else number
    return k.spread(scalar, lanes, I32)


@dataclass(frozen=True)
class _Pool(KernelSpec):
    """What the pooling kernels share.

    `window` and `stride` are (rows, columns). `clamp`: windows may reach over the image's border,
    through padding or `ceil_mode`; without it every window must be inside and `top`, `left` are 0.
    """

    channels: int
    window: tuple[int, int]
    stride: tuple[int, int]
    clamp: bool

    def _windows(self, k: Builder, sizes: PoolSizes, row: Value) -> Iterator[PoolWindow]:
        """The windows of result row `row`; the code that uses them may be built for two cases."""
        (kh, kw), (sh, sw) = self.window, self.stride
        top = row * sh - sizes.top
        row_stride = sizes.width * self.channels
        with k.loop(0, sizes.out_width) as column:
            left = column * sw - sizes.left
            result = (row * sizes.out_width + column) * self.channels

            def part(rows: tuple[Operand, Operand], columns: tuple[Operand, Operand]) -> PoolWindow:
                return PoolWindow(top, left, rows, columns, kw, row_stride, self.channels, result)

            unrolled = part((0, kh), (0, kw))
            rows = (k.maximum(0 - top, 0), k.minimum(sizes.height - top, kh))
            columns = (k.maximum(0 - left, 0), k.minimum(sizes.width - left, kw))
            looped = part(rows, columns)
            if kh * kw > UNROLLED:
                yield looped
            elif not self.clamp:
                yield unrolled
            else:
                rows_inside = (top >= 0) & (top + kh <= sizes.height)
                columns_inside = (left >= 0) & (left + kw <= sizes.width)
                with k.when(rows_inside & columns_inside) as branch:
                    yield unrolled
                with k.otherwise(branch):
                    yield looped

    def _images(
        self, k: Builder, sizes: PoolSizes, large: list[Pointer], small: list[Pointer]
    ) -> Iterator[list[Pointer]]:
        """For every image of the kernel's blocks, its part of the `large` and the `small` images."""
        with k.loop(k.begin, k.end) as image:
            from_large = image * (sizes.height * sizes.width * self.channels)
            from_small = image * (sizes.out_height * sizes.out_width * self.channels)
            yield [k.offset(buffer, from_large) for buffer in large] + [k.offset(b, from_small) for b in small]

    def _rows(self, k: Builder, sizes: PoolSizes, x: Pointer, y: Pointer) -> Iterator[tuple[Pointer, Pointer, Value]]:
        """For every row of results of the kernel's blocks, its image, the image's results, and its number."""
        with k.loop(k.begin, k.end) as block:
            image, row = block // sizes.out_height, block % sizes.out_height
            source = k.offset(x, image * (sizes.height * sizes.width * self.channels))
            yield source, k.offset(y, image * (sizes.out_height * sizes.out_width * self.channels)), row


@dataclass(frozen=True)
class MaxPool(_Pool):
    """The maximum of every window; a NaN in it comes through, padding counts as −∞.

    Arguments: x, y, height, width, out_height, out_width, top, left (the last two: rows and columns
    of padding). x is N × height × width × channels, y is N × out_height × out_width × channels.
    A block is one row of y.
    """

    signature: ClassVar[Signature] = Signature(("x", "y"), POOL_WORDS)

    def build(self, target: Target) -> Kernel:
        k = Builder("max_pool")
        x, y = k.buffer("x"), k.buffer("y")
        sizes = PoolSizes.of(k)
        for source, result, row in self._rows(k, sizes, x, y):
            for window in self._windows(k, sizes, row):
                self._one(k, source, result, window, target.lanes)
        return k.kernel()

    def _one(self, k: Builder, x: Pointer, y: Pointer, window: PoolWindow, lanes: int) -> None:
        def body(first: Operand, count: int) -> None:
            best = k.register(k.spread(float("-inf"), lanes))
            for place, _ in window.pixels(k):
                value, before = k.load(x, place + first, lanes, count), best.get()
                # `maximum` lets a NaN of its second operand through, and this one of the first.
                best.set(k.select(k.equal(before, before), k.maximum(before, value), before))
            k.store(y, window.result + first, best.get(), count)

        over_lanes(k, self.channels, lanes, body)


@dataclass(frozen=True)
class AvgPool(_Pool):
    """The mean of every window, by PyTorch's rules for the divisor.

    With `count_include_pad` the divisor counts the window's pixels in the image and its padding,
    otherwise those in the image alone; pixels beyond the padding (`ceil_mode`) never count.

    Arguments: x, y, height, width, out_height, out_width, top, left, bottom, right (the last four:
    rows and columns of padding). Shapes as for `MaxPool`. A block is one row of y.
    """

    signature: ClassVar[Signature] = Signature(("x", "y"), (*POOL_WORDS, "bottom", "right"))

    count_include_pad: bool

    def build(self, target: Target) -> Kernel:
        k = Builder("avg_pool")
        x, y = k.buffer("x"), k.buffer("y")
        sizes = PoolSizes.of(k)
        past = k.index("bottom"), k.index("right")
        for source, result, row in self._rows(k, sizes, x, y):
            for window in self._windows(k, sizes, row):
                scale = _reciprocal(k, window, sizes, past, self)
                self._one(k, source, result, window, scale, target.lanes)
        return k.kernel()

    def _one(self, k: Builder, x: Pointer, y: Pointer, window: PoolWindow, scale: Operand, lanes: int) -> None:
        def body(first: Operand, count: int) -> None:
            total = k.register(k.spread(0.0, lanes))
            for place, _ in window.pixels(k):
                total.set(total.get() + k.load(x, place + first, lanes, count))
            k.store(y, window.result + first, total.get() * scale, count)

        over_lanes(k, self.channels, lanes, body)


@dataclass(frozen=True)
class MaxPoolGradient(_Pool):
    """The gradient of `MaxPool`: every g goes to the first maximum, in row-major order, of its window.

    The maxima are found again from x; the first NaN counts as one. `tiles`: the windows cover the
    image exactly and without overlap, so that every dx is written once; otherwise they are added up
    from zero.

    Arguments: x, g, dx, height, width, out_height, out_width, top, left. x and dx are
    N × height × width × channels, g is N × out_height × out_width × channels. A block is one image.
    """

    signature: ClassVar[Signature] = Signature(("x", "g", "dx"), POOL_WORDS)

    tiles: bool

    def build(self, target: Target) -> Kernel:
        k = Builder("max_pool_gradient")
        x, g, dx = k.buffer("x"), k.buffer("g"), k.buffer("dx")
        sizes = PoolSizes.of(k)
        for source, sums, given in self._images(k, sizes, [x, dx], [g]):
            for row in _rows_to_add(k, self, sizes, sums, self.tiles, target.lanes):
                for window in self._windows(k, sizes, row):
                    self._one(k, source, given, sums, window, target.lanes)
        return k.kernel()

    def _one(self, k: Builder, x: Pointer, g: Pointer, dx: Pointer, window: PoolWindow, lanes: int) -> None:
        def body(first: Operand, count: int) -> None:
            best = k.register(k.spread(float("-inf"), lanes))
            winner = k.register(_lane_number(k, window.first, lanes))
            for place, number in window.pixels(k):
                value, before = k.load(x, place + first, lanes, count), best.get()
                better = is_better(k, value, before)
                best.set(k.select(better, value, before))
                winner.set(k.select(better, _lane_number(k, number, lanes), winner.get()))
            given = k.load(g, window.result + first, lanes, count)
            for place, number in window.pixels(k):
                won = k.equal(winner.get(), _lane_number(k, number, lanes))
                _put(k, dx, place + first, k.select(won, given, 0.0), count, self.tiles)

        over_lanes(k, self.channels, lanes, body)


@dataclass(frozen=True)
class AvgPoolGradient(_Pool):
    """The gradient of `AvgPool`: every g, divided as there, goes to all pixels of its window.

    `tiles` as for `MaxPoolGradient`.

    Arguments: g, dx, height, width, out_height, out_width, top, left, bottom, right. Shapes as for
    `MaxPoolGradient`. A block is one image.
    """

    signature: ClassVar[Signature] = Signature(("g", "dx"), (*POOL_WORDS, "bottom", "right"))

    count_include_pad: bool
    tiles: bool

    def build(self, target: Target) -> Kernel:
        k = Builder("avg_pool_gradient")
        g, dx = k.buffer("g"), k.buffer("dx")
        sizes = PoolSizes.of(k)
        past = k.index("bottom"), k.index("right")
        for sums, given in self._images(k, sizes, [dx], [g]):
            for row in _rows_to_add(k, self, sizes, sums, self.tiles, target.lanes):
                for window in self._windows(k, sizes, row):
                    scale = _reciprocal(k, window, sizes, past, self)
                    self._one(k, given, sums, window, scale, target.lanes)
        return k.kernel()

    def _one(self, k: Builder, g: Pointer, dx: Pointer, window: PoolWindow, scale: Operand, lanes: int) -> None:
        def body(first: Operand, count: int) -> None:
            share = k.load(g, window.result + first, lanes, count) * scale
            for place, _ in window.pixels(k):
                _put(k, dx, place + first, share, count, self.tiles)

        over_lanes(k, self.channels, lanes, body)


def _reciprocal(
    k: Builder, window: PoolWindow, sizes: PoolSizes, past: tuple[Value, Value], pool: AvgPool | AvgPoolGradient
) -> Operand:
    """1 / the divisor of one window; `past` are the rows and columns of padding after the image."""
    kh, kw = pool.window
    if window.whole or not pool.clamp:
        return 1.0 / (kh * kw)
    if pool.count_include_pad:
        rows = k.minimum(sizes.height + past[0] - window.top, kh)
        columns = k.minimum(sizes.width + past[1] - window.left, kw)
    else:
        rows, columns = (k.maximum(stop - start, 0) for start, stop in (window.rows, window.columns))
    count = k.convert("i32", k.maximum(rows * columns, 1))
    return 1.0 / k.convert("float", count)


def _rows_to_add(k: Builder, pool: _Pool, sizes: PoolSizes, dx: Pointer, tiles: bool, lanes: int) -> Iterator[Value]:
    """The rows of results whose gradients are to be added to `dx`, with its rows zeroed in time.

    A row of `dx` is zeroed only just before the first window that reaches it, while its memory is about
    to be used.
    """
    row_stride = sizes.width * pool.channels
    if not tiles:
        ready = k.register(k.constant(0, k.begin.kind))
    with k.loop(0, sizes.out_height) as row:
        if not tiles:
            reached = k.minimum(row * pool.stride[0] - sizes.top + pool.window[0], sizes.height)
            reached = k.maximum(reached, ready.get())
            clear(k, dx, ready.get() * row_stride, reached * row_stride, lanes)
            ready.set(reached)
        yield row
    if not tiles:
        clear(k, dx, ready.get() * row_stride, sizes.height * row_stride, lanes)


def _put(k: Builder, buffer: Pointer, place: Value, value: Value, count: int, alone: bool) -> None:
    """Adds `value` to `buffer`, or writes it where it comes `alone`."""
    if not alone:
        value = k.load(buffer, place, value.kind.lanes, count) + value
    k.store(buffer, place, value, count)
