"""One tile of Winograd's algorithm: pixels to the 36 points, and sums at the 36 points back to pixels.

The 36 numbers of a transform are written far apart. The distance between two points includes one extra cache line,
because distances of a power of two would compete for the same sets of a cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from opsin.kernels.ir import Builder, Operand, Pointer, Value
from opsin.kernels.spec import CACHE_LINE, clear, copy, vector_loop
from opsin.kernels.tile import BoundEpilogue
from opsin.kernels.tiling import Corner, TileSource, Tiling
from opsin.kernels.transforms import SIDE, STEP, both_axes, output_row


@dataclass(frozen=True)
class TileTransform:
    """Emits the transformation of tiles of `channels` to points that are `point` elements apart.

    Pixels beyond the border are zeros; `patch` is memory for a tile at the border. `prefetch` says whether the next row
    of tiles is prefetched. If channels are stored in panels, `position` maps a channel to its offset.
    """

    k: Builder
    lanes: int
    channels: int
    patch: Pointer
    point: Operand
    prefetch: bool
    position: Callable[[Operand], Operand] = lambda channel: channel

    def emit(self, images: Pointer, tile: TileSource, target: Pointer) -> None:
        """Transform one tile of `images` into `target`."""
        k, channels, side = self.k, self.channels, tile.side
        (height, width), (image, y, x) = tile.size, tile.corner
        if self.prefetch:
            self._prefetch_next_row(images, tile)
        is_inside = (y >= 0) & (x >= 0) & (y + side <= height) & (x + side <= width)
        with k.when(is_inside) as branch:
            pixels = k.offset(images, ((image * height + y) * width + x) * channels)
            self._transform(tile, pixels, width * channels, target)
        with k.otherwise(branch):
            self._copy_border(images, tile)
            self._transform(tile, self.patch, k.constant(side * channels, width.kind), target)

    def _transform(self, tile: TileSource, pixels: Pointer, row_size: Operand, target: Pointer) -> None:
        k = self.k
        for channel, count in vector_loop(k, self.channels, self.lanes):
            for i, values in enumerate(self._points(tile, pixels, row_size, channel, count)):
                for j, value in enumerate(values):
                    k.store(target, (i * SIDE + j) * self.point + self.position(channel), value, count)

    def _points(
        self, tile: TileSource, pixels: Pointer, row_size: Operand, channel: Operand, count: int
    ) -> list[list[Value]]:
        return both_axes(
            tile.side,
            tile.side,
            lambda i, j: self.k.load(pixels, i * row_size + j * self.channels + channel, self.lanes, count),
            tile.transform,
        )

    def _copy_border(self, images: Pointer, tile: TileSource) -> None:
        """Copy a tile that crosses the border to `patch`, with zeros outside the image."""
        k, lanes, channels, side = self.k, self.lanes, self.channels, tile.side
        (height, width), (image, y, x) = tile.size, tile.corner
        first, last = k.maximum(0, -x), k.minimum(side, width - x)
        with k.loop(0, side) as i:
            row = y + i
            line = k.offset(self.patch, i * (side * channels))
            source = k.offset(images, ((image * height + row) * width + x) * channels)
            with k.when((row >= 0) & (row < height)) as row_inside:
                clear(k, line, k.constant(0, row.kind), first * channels, lanes)
                copy(k, source, line, first * channels, last * channels, lanes)
                clear(k, line, last * channels, k.constant(side * channels, row.kind), lanes)
            with k.otherwise(row_inside):
                for c, n in vector_loop(k, side * channels, lanes):
                    k.store(line, c, k.broadcast(0.0, lanes), n)

    def _prefetch_next_row(self, images: Pointer, tile: TileSource) -> None:
        """Prefetch what the row of tiles below reads, an equal share at every tile.

        Hardware prefetchers follow a single stream, not six: this makes layers with few channels a third faster.
        """
        (height, width), (image, row, column) = tile.size, tile.corner
        first = (image * height + row + tile.side) * width + column * STEP
        for line in range(0, STEP * STEP * self.channels, CACHE_LINE):
            self.k.prefetch(images, first * self.channels + line)


@dataclass(frozen=True)
class OutputTransform:
    """Emits the transformation of sums at points `point` elements apart to output pixels, which get the epilogue.

    `patch` is memory for one vector of a tile.
    """

    k: Builder
    lanes: int
    filters: int
    patch: Pointer
    point: Operand
    tiling: Tiling
    epilogue: BoundEpilogue

    def emit(self, sums: Pointer, corner: Corner) -> None:
        """Transform the sums of the tile at `corner` and store the pixels that are inside the image."""
        k = self.k
        _, row, column = corner
        height = k.minimum(STEP, self.tiling.out_height - row)
        width = k.minimum(STEP, self.tiling.out_width - column)
        output = self.tiling.output(corner)
        with k.when((height >= STEP) & (width >= STEP)) as branch:
            for first, count in vector_loop(k, self.filters, self.lanes):
                for i, values in enumerate(self._pixels(sums, first)):
                    for j, value in enumerate(values):
                        self._store(value, output + i * self.tiling.out_width + j, first, count)
        with k.otherwise(branch):
            for first, count in vector_loop(k, self.filters, self.lanes):
                self._store_clipped(self._pixels(sums, first), (height, width), output, first, count)

    def prefetch(self, corner: Corner) -> None:
        """Prefetch the arrays that `emit` reads and writes at the tile."""
        output = self.tiling.output(corner)
        for row in range(STEP):
            for line in range(0, STEP * self.filters, CACHE_LINE):
                self.epilogue.prefetch((output + row * self.tiling.out_width) * self.filters + line)

    def _pixels(self, sums: Pointer, first: Operand) -> list[list[Value]]:
        return both_axes(
            SIDE, SIDE, lambda i, j: self.k.load(sums, (i * SIDE + j) * self.point + first, self.lanes), output_row
        )

    def _store_clipped(
        self, pixels: list[list[Value]], size: tuple[Value, Value], output: Value, first: Operand, count: int
    ) -> None:
        """Store the first rows and columns, `size` of them, by way of `patch`."""
        k, lanes = self.k, self.lanes
        for i, values in enumerate(pixels):
            for j, value in enumerate(values):
                k.store(self.patch, (i * STEP + j) * lanes, value)
        height, width = size
        with k.loop(0, height) as y, k.loop(0, width) as x:
            value = k.load(self.patch, (y * STEP + x) * lanes, lanes)
            self._store(value, output + y * self.tiling.out_width + x, first, count)

    def _store(self, value: Value, pixel: Value, first: Operand, count: int) -> None:
        self.epilogue.store(value, pixel * self.filters + first, first, count)
