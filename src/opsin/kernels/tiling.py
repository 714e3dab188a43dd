"""The tiles of Winograd's algorithm: 4×4 outputs each, numbered along the rows of all images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from opsin.kernels.ir import Operand, Value
from opsin.kernels.transforms import SIDE, STEP, gradient_row, input_row

Corner: TypeAlias = "tuple[Value, Value, Value]"
"""The image, row and column of the first pixel of a tile."""

TILING_WORDS = ("H", "W", "OH", "OW", "top", "left", "tiles_down", "tiles_across", "count")
"""The arguments of `Tiling`, in order."""


@dataclass(frozen=True)
class Tiling:
    """The words of a kernel that define the tiles: of images of `height` × `width`, with `top` rows and `left` columns
    of padding, `tiles_down` × `tiles_across` tiles for `out_height` × `out_width` outputs; `count` tiles in total."""

    height: Value
    width: Value
    out_height: Value
    out_width: Value
    top: Value
    left: Value
    tiles_down: Value
    tiles_across: Value
    count: Value

    def corner(self, number: Value) -> Corner:
        """Return the first output pixel of tile `number`."""
        tiles = self.tiles_down * self.tiles_across
        tile = number % tiles
        return number // tiles, tile // self.tiles_across * STEP, tile % self.tiles_across * STEP

    @contextmanager
    def loop(self, first: Value, count: Operand) -> Iterator[tuple[Value, Corner]]:
        """Emit a loop over `count` tiles from tile `first` on, and yield (tile, counted from 0; its corner).

        Each corner is derived from the one before, because divisions would take a tenth of the time of a layer with
        few channels.
        """
        k = first.builder
        image, row, column = (k.register(value) for value in self.corner(first))
        with k.loop(0, count) as tile:
            yield tile, (image.get(), row.get(), column.get())
            next_column, next_row = column.get() + STEP, row.get() + STEP
            row_ends = next_column >= self.tiles_across * STEP
            image_ends = row_ends & (next_row >= self.tiles_down * STEP)
            column.set(k.select(row_ends, 0, next_column))
            row.set(k.select(image_ends, 0, k.select(row_ends, next_row, row.get())))
            image.set(k.select(image_ends, image.get() + 1, image.get()))

    def inputs(self, corner: Corner) -> TileSource:
        """Return the inputs of the tile at `corner`."""
        image, row, column = corner
        first = image, row - self.top, column - self.left
        return TileSource((self.height, self.width), first, SIDE, input_row)

    def gradients(self, corner: Corner) -> TileSource:
        """Return the gradient of the outputs of the tile at `corner`."""
        return TileSource((self.out_height, self.out_width), corner, STEP, gradient_row)

    def output(self, corner: Corner) -> Value:
        """Return the number of the output pixel at `corner`."""
        image, row, column = corner
        return (image * self.out_height + row) * self.out_width + column


@dataclass(frozen=True)
class TileSource:
    """The pixels that `transform` is applied to at one tile: `side` × `side` from `corner` on, of images of `size`."""

    size: tuple[Value, Value]
    corner: Corner
    side: int
    transform: Callable[[Sequence[Value]], list[Value]]
