"""Winograd's minimal filtering F(4×4, 3×3): a 3×3 convolution with a quarter of the multiplications.

A. Lavin & S. Gray, "Fast Algorithms for Convolutional Neural Networks" (2016): a tile of 4×4 outputs
needs 6×6 inputs; Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A, where ⊙, summed over channels, is 36 small matrix
products. The transforms use halves up to 1/24 and factors up to 8, so the result is rounded about ten
times as coarsely as by direct summation.

Tiles are handled in blocks: inputs are transformed into scratch memory, multiplied there with the
register tile, and the sums transformed back, all before the next block, so that they stay in cache.
The 36 numbers of a transform are written far apart; a cache line lies between the points, as distances
that are a power of two would all fall into the same few places of a cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from opsin.kernels.ir import Builder, Kernel, Operand, Pointer, Target, Value
from opsin.kernels.panels import panels
from opsin.kernels.spec import LINE, KernelSpec, Signature, clear, copy, over_lanes
from opsin.kernels.tile import PLAIN, BoundEpilogue, ColumnRange, Epilogue, Tile
from opsin.kernels.transforms import POINTS, SIDE, STEP, both_axes, filter_row, gradient_row, input_row, output_row

Place: TypeAlias = "tuple[Value, Value, Value]"
"""Image, first output row, first output column of a tile."""

TILING_WORDS = ("H", "W", "OH", "OW", "top", "left", "tiles_down", "tiles_across", "count")
"""The arguments of `Tiling`, in order."""

NARROW = 48
"""Channels up to which memory has to be asked ahead; with more, a tile takes long enough for it to answer."""


@dataclass(frozen=True)
class Tiling:
    """The arguments that say where tiles lie: of images H × W, `down` × `across` tiles for OH × OW outputs."""

    height: Value
    width: Value
    out_height: Value
    out_width: Value
    top: Value
    left: Value
    down: Value
    across: Value
    count: Value

    @staticmethod
    def bind(k: Builder) -> Tiling:
        """Declares the nine arguments: H, W, OH, OW, top, left, tiles down, across, and in all."""
        return Tiling(*(k.index(name) for name in TILING_WORDS))

    def place(self, number: Value) -> Place:
        """Where tile `number` lies."""
        own = self.down * self.across
        inside = number % own
        return number // own, inside // self.across * STEP, inside % self.across * STEP

    @contextmanager
    def each(self, first: Value, count: Operand) -> Iterator[tuple[Value, Place]]:
        """A loop over `count` tiles from number `first` on: yields which of them it is, from 0, and its place.

        One place is found from the one before, as dividing takes a tenth of a narrow layer's time.
        """
        k = first.builder
        image, row, column = (k.register(value) for value in self.place(first))
        with k.loop(0, count) as t:
            yield t, (image.get(), row.get(), column.get())
            right, below = column.get() + STEP, row.get() + STEP
            turns = right >= self.across * STEP
            ends = turns & (below >= self.down * STEP)
            column.set(k.select(turns, 0, right))
            row.set(k.select(ends, 0, k.select(turns, below, row.get())))
            image.set(k.select(ends, image.get() + 1, image.get()))

    def inputs(self, place: Place) -> TileSource:
        """The inputs of a tile."""
        image, row, column = place
        corner = image, row - self.top, column - self.left
        return TileSource((self.height, self.width), corner, SIDE, input_row)

    def gradients(self, place: Place) -> TileSource:
        """The output's gradient at a tile."""
        return TileSource((self.out_height, self.out_width), place, STEP, gradient_row)

    def corner(self, place: Place) -> Value:
        """The number of the output pixel in the first corner of a tile."""
        image, row, column = place
        return (image * self.out_height + row) * self.out_width + column


@dataclass(frozen=True)
class TileSource:
    """What is transformed at one tile: `side` × `side` pixels from `corner` on, of images of `size`, by `rule`."""

    size: tuple[Value, Value]
    corner: Place
    side: int
    rule: Callable[[Sequence[Value]], list[Value]]


def transform_tile(
    k: Builder,
    source: Pointer,
    patch: Pointer,
    sight: TileSource,
    into: Pointer,
    point: Operand,
    channels: int,
    lanes: int,
    place: Callable[[Operand], Operand] = lambda c: c,
) -> None:
    """Transforms one tile's pixels to 36 points, `point` elements apart; channel c goes to `place(c)`.

    Pixels beyond the border are zeros: `patch` holds what lies there.
    """
    _prefetch_below(k, source, sight, channels)

    def transform(pixels: Pointer, row: Operand) -> None:
        def vector(c: Operand, count: int) -> None:
            read = lambda i, j: k.load(pixels, i * row + j * channels + c, lanes, count)  # noqa: E731
            for i, values in enumerate(both_axes(sight.side, sight.side, read, sight.rule)):
                for j, value in enumerate(values):
                    k.store(into, (i * SIDE + j) * point + place(c), value, count)

        over_lanes(k, channels, lanes, vector)

    _read(k, source, patch, sight, channels, lanes, transform)


def _prefetch_below(k: Builder, source: Pointer, sight: TileSource, channels: int) -> None:
    """Brings near what the tiles below will read, an equal share with every tile of a row.

    Processors foresee reading along one line, not in six lines at once: narrow layers, whose tiles are computed
    faster than memory answers, become a third faster.
    """
    if channels > NARROW:
        return
    (height, width), (image, row, column) = sight.size, sight.corner
    first = (image * height + row + sight.side) * width + column * STEP
    for line in range(0, STEP * STEP * channels, LINE):
        k.prefetch(source, first * channels + line)


def _read(
    k: Builder,
    x: Pointer,
    patch: Pointer,
    sight: TileSource,
    channels: int,
    lanes: int,
    use: Callable[[Pointer, Operand], None],
) -> None:
    """Runs `use(buffer, row)` on the pixels that are seen: in place, or copied between zeros to `patch`."""
    (height, width), (image, y, x0), side = sight.size, sight.corner, sight.side
    inside = (y >= 0) & (x0 >= 0) & (y + side <= height) & (x0 + side <= width)
    with k.when(inside) as branch:
        use(k.offset(x, ((image * height + y) * width + x0) * channels), width * channels)
    with k.otherwise(branch):
        first, last = k.maximum(0, -x0), k.minimum(side, width - x0)
        with k.loop(0, side) as i:
            row = y + i
            line = k.offset(patch, i * (side * channels))
            source = k.offset(x, ((image * height + row) * width + x0) * channels)
            with k.when((row >= 0) & (row < height)) as case:
                clear(k, line, k.constant(0, row.kind), first * channels, lanes)
                copy(k, source, line, first * channels, last * channels, lanes)
                clear(k, line, last * channels, k.constant(side * channels, row.kind), lanes)
            with k.otherwise(case):
                over_lanes(k, side * channels, lanes, lambda c, n: k.store(line, c, k.spread(0.0, lanes), n))
        use(patch, k.constant(side * channels, width.kind))


def filters_point(channels: int, filters: int, target: Target) -> int:
    """Elements from one point of u to the next."""
    return panels(filters, target) * channels * 2 * target.lanes + LINE


@dataclass(frozen=True)
class WinogradFilters(KernelSpec):
    """u = G w Gᵀ for every pair of channels, in panels: 36 × (panels × C × two vectors), `filters_point` apart.

    Arguments: w (3 3 C K), u. A block is one input channel.
    """

    signature: ClassVar[Signature] = Signature(("w", "u"))

    channels: int
    filters: int

    def build(self, target: Target) -> Kernel:
        k = Builder("winograd_filters")
        w, u = k.buffer("w"), k.buffer("u")
        lanes, wide = target.lanes, 2 * target.lanes
        size = filters_point(self.channels, self.filters, target)
        with k.loop(k.begin, k.end) as channel:

            def vector(first: Operand, count: int) -> None:
                at = channel * self.filters + first
                read = lambda i, j: k.load(w, (i * 3 + j) * (self.channels * self.filters) + at, lanes, count)  # noqa: E731
                place = first // wide * (self.channels * wide) + channel * wide + first % wide
                for i, values in enumerate(both_axes(3, 3, read, filter_row)):
                    for j, value in enumerate(values):
                        k.store(u, place + (i * SIDE + j) * size, value)

            over_lanes(k, self.filters, lanes, vector)
        return k.kernel()


def register_rows(tiles: int, target: Target) -> int:
    """Rows of the register tile for `tiles` tiles: as even as possible."""
    most = (target.registers - 3) // 2
    return -(-tiles // -(-tiles // most))


def whole_rows(tiles: int, target: Target) -> int:
    """`tiles`, rounded up to whole register tiles."""
    rows = register_rows(tiles, target)
    return -(-tiles // rows) * rows


@dataclass(frozen=True)
class Products:
    """One of the 36 matrix products for one panel: `count` rows of v (… × channels) times u, to m."""

    channels: int
    across: int
    rows: int

    def emit(self, k: Builder, target: Target, v: Pointer, u: Pointer, m: Pointer, count: Operand) -> None:
        """`m` has rows of `across` panels; rows up to the next whole register tile are computed, too."""
        pair = 2 * target.lanes
        with k.loop(0, count, self.rows) as row:
            left = k.offset(v, row * self.channels)
            sums = Tile(k, target, self.rows, ColumnRange(0, 1, 2, target.lanes))
            with k.loop(0, self.channels) as c:
                sums.accumulate(lambda i: k.load(left, c + i * self.channels), u, c * pair)
            for i in range(self.rows):
                for j in range(2):
                    k.store(m, (row + i) * (self.across * pair) + j * target.lanes, sums.value(i, j))


def finish_tile(
    k: Builder,
    lanes: int,
    filters: int,
    m: Pointer,
    point: Operand,
    patch: Pointer,
    tiling: Tiling,
    place: Place,
    epilogue: BoundEpilogue,
) -> None:
    """Transforms the sums of the tile at `place` back (36 rows of `m`, `point` elements apart), and gives those inside
    the image to the epilogue."""
    _, row, column = place
    down = k.minimum(STEP, tiling.out_height - row)
    across = k.minimum(STEP, tiling.out_width - column)
    corner = tiling.corner(place)

    def sums(first: Operand) -> list[list[Value]]:
        read = lambda i, j: k.load(m, (i * SIDE + j) * point + first, lanes)  # noqa: E731
        return both_axes(SIDE, SIDE, read, output_row)

    def whole(first: Operand, count: int) -> None:
        for y, values in enumerate(sums(first)):
            for x, value in enumerate(values):
                epilogue.store(value, (corner + y * tiling.out_width + x) * filters + first, first, count)

    def part(first: Operand, count: int) -> None:
        for y, values in enumerate(sums(first)):
            for x, value in enumerate(values):
                k.store(patch, (y * STEP + x) * lanes, value)
        with k.loop(0, down) as i, k.loop(0, across) as j:
            value = k.load(patch, (i * STEP + j) * lanes, lanes)
            epilogue.store(value, (corner + i * tiling.out_width + j) * filters + first, first, count)

    with k.when((down >= STEP) & (across >= STEP)) as inside:
        over_lanes(k, filters, lanes, whole)
    with k.otherwise(inside):
        over_lanes(k, filters, lanes, part)


@dataclass(frozen=True)
class Winograd(KernelSpec):
    """`y = epilogue(x ∗ w)` for 3×3 kernels of stride 1, by F(4×4, 3×3), a block of tiles at a time.

    For many tiles: a block's transformed inputs and sums stay in cache, and every block reads all of u.

    Arguments: x (N H W C), u of `WinogradFilters`; those of `Tiling`; the epilogue's, on arrays N OH OW K.
    A block is `tiles` tiles. Scratch: see `scratch`.
    """

    signature: ClassVar[Signature] = Signature(("x", "u"), TILING_WORDS, epilogue=True)

    channels: int
    filters: int
    tiles: int
    epilogue: Epilogue = PLAIN

    def scratch(self, target: Target) -> int:
        """Float32 elements of scratch memory a thread needs: transformed inputs, sums, and one tile."""
        wide = panels(self.filters, target) * 2 * target.lanes
        held = whole_rows(self.tiles, target)
        return POINTS * (held * (self.channels + wide) + 2 * LINE + max(self.channels, wide))

    def build(self, target: Target) -> Kernel:
        k = Builder("winograd")
        x, u = k.buffer("x"), k.buffer("u")
        tiling = Tiling.bind(k)
        epilogue = self.epilogue.bind(k)
        held, across = whole_rows(self.tiles, target), panels(self.filters, target)
        pair = 2 * target.lanes
        v_point, m_point = held * self.channels + LINE, held * across * pair + LINE
        u_point = filters_point(self.channels, self.filters, target)
        v = k.scratch
        m = k.offset(v, POINTS * v_point)
        patch = k.offset(m, POINTS * m_point)
        products = Products(self.channels, across, register_rows(self.tiles, target))
        with k.loop(k.begin, k.end) as block:
            first = block * self.tiles
            count = k.minimum(self.tiles, tiling.count - first)
            with tiling.each(first, count) as (t, place):
                into = k.offset(v, t * self.channels)
                transform_tile(k, x, patch, tiling.inputs(place), into, v_point, self.channels, target.lanes)
                self._prefetch(tiling, place, epilogue)
            with k.loop(0, POINTS) as point, k.loop(0, across) as panel:
                right = k.offset(u, point * u_point + panel * (self.channels * pair))
                out = k.offset(m, point * m_point + panel * pair)
                products.emit(k, target, k.offset(v, point * v_point), right, out, count)
            with tiling.each(first, count) as (t, place):
                sums = k.offset(m, t * (across * pair))
                finish_tile(k, target.lanes, self.filters, sums, m_point, patch, tiling, place, epilogue)
        return k.kernel()

    def _prefetch(self, tiling: Tiling, place: Place, epilogue: BoundEpilogue) -> None:
        """What the tile's end will write and read is brought near while its products are computed."""
        if self.filters > NARROW:
            return
        corner = tiling.corner(place)
        for row in range(STEP):
            for line in range(0, STEP * self.filters, LINE):
                epilogue.prefetch((corner + row * tiling.out_width) * self.filters + line)


@dataclass(frozen=True)
class WinogradProducts(KernelSpec):
    """`m[f, t, k] = Σ_c v[f, t, c] · u[f, c, k]` over all tiles at once: for few tiles, u is read once.

    Arguments: v (36 × held × C), u of `WinogradFilters`, m (36 × held × panels), the points of v and m `LINE`
    further apart; count, held. A block is one panel of one point; `held` is `whole_rows(count)`.
    """

    signature: ClassVar[Signature] = Signature(("v", "u", "m"), ("count", "padded_tiles"))

    channels: int
    filters: int
    rows: int

    def build(self, target: Target) -> Kernel:
        k = Builder("winograd_products")
        v, u, m = k.buffer("v"), k.buffer("u"), k.buffer("m")
        count, held = k.index("count"), k.index("held")
        across, pair = panels(self.filters, target), 2 * target.lanes
        products = Products(self.channels, across, self.rows)
        with k.loop(k.begin, k.end) as block:
            point, panel = block // across, block % across
            left = k.offset(v, point * (held * self.channels + LINE))
            right = k.offset(u, point * filters_point(self.channels, self.filters, target))
            out = k.offset(m, point * (held * (across * pair) + LINE) + panel * pair)
            products.emit(k, target, left, k.offset(right, panel * (self.channels * pair)), out, count)
        return k.kernel()


@dataclass(frozen=True)
class WinogradOutputs(KernelSpec):
    """`y = epilogue(Aᵀ m A)`, tile by tile.

    Arguments: m of `WinogradProducts`; those of `Tiling`; held; the epilogue's. A block is one tile. Scratch: one
    tile of vectors.
    """

    signature: ClassVar[Signature] = Signature(("m",), (*TILING_WORDS, "padded_tiles"), epilogue=True)

    filters: int
    epilogue: Epilogue = PLAIN

    def build(self, target: Target) -> Kernel:
        k = Builder("winograd_outputs")
        m = k.buffer("m")
        tiling = Tiling.bind(k)
        held = k.index("held")
        epilogue = self.epilogue.bind(k)
        wide = panels(self.filters, target) * 2 * target.lanes
        first = k.offset(m, k.begin * wide)
        with tiling.each(k.begin, k.end - k.begin) as (t, place):
            sums = k.offset(first, t * wide)
            finish_tile(k, target.lanes, self.filters, sums, held * wide + LINE, k.scratch, tiling, place, epilogue)
        return k.kernel()
