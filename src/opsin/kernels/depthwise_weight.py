"""The weight gradient of depthwise convolution.

The tiles are those of `depthwise`. The sums of all taps are kept in memory, where they stay in the first-level cache,
and each is loaded once for a tile of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from opsin.kernels.depthwise import Cell, DepthwiseSpec, Schedule
from opsin.kernels.ir import Builder, Kernel, Pointer, Target, Value
from opsin.kernels.spec import Signature, clear_constant
from opsin.kernels.taps import Axis


def reference(x: np.ndarray, g: np.ndarray, rows: Axis, columns: Axis) -> np.ndarray:
    """Return the gradient (kh × kw × C) for images `x` (N × H × W × C) and the results' gradient `g` (N × OH × OW ×
    C)."""
    dw = np.zeros((rows.taps, columns.taps, x.shape[3]))
    for i, j in np.ndindex(g.shape[1:3]):
        for r, p in rows.reads(i, x.shape[1]):
            for s, q in columns.reads(j, x.shape[2]):
                dw[r, s] += (x[:, p, q] * g[:, i, j]).sum(0)
    return dw


@dataclass(frozen=True)
class DepthwiseWeight(DepthwiseSpec):
    """Partial weight gradients, one array (kh × kw × channels) for each block.

    `x` is N × height × W × channels, `g` is N × out_height × OW × channels, and `partial` holds the arrays of all
    blocks. A block is `images` images.
    """

    signature: ClassVar[Signature] = Signature(("x", "g", "partial"), ("N", "W", "OW", "images"))

    def schedule(self, target: Target) -> Schedule:
        """Return the schedule: tiles of one vector if the sums and gradients of two do not fit into the registers."""
        default = Schedule()
        fits = (default.rows + self.rows.taps) * default.vectors < target.registers
        return Schedule(vectors=default.vectors if fits else 1, channel_block=self.channel_block)

    def build(self, target: Target) -> Kernel:
        k = Builder("depthwise_weight")
        (x, g, partial), (count, width, out_width, images) = self.bind(k)
        size = self.rows.taps * self.columns.taps * self.channels
        schedule = self.schedule(target)
        with k.loop(k.begin, k.end) as block:
            tile = _GradientTile(self, k, target.lanes, width, out_width, k.offset(partial, block * size))
            clear_constant(k, tile.sums, size, k.broadcast(0.0, target.lanes))
            with k.loop(block * images, k.minimum(count, (block + 1) * images)) as number:
                image = k.offset(x, number * self.height * width * self.channels)
                gradient = k.offset(g, number * self.out_height * out_width * self.channels)
                for cell in self.cells(k, target.lanes, schedule, (0, out_width), width):
                    source = k.offset(image, cell.base * width * self.channels + cell.channel)
                    at = (cell.row * out_width + cell.column) * self.channels + cell.channel
                    tile.accumulate(cell, source, k.offset(gradient, at))
        return k.kernel()


@dataclass(frozen=True)
class _GradientTile:
    """Emits the code of one cell of `DepthwiseWeight`; `sums` is the block's array."""

    spec: DepthwiseWeight
    k: Builder
    lanes: int
    width: Value
    out_width: Value
    sums: Pointer

    def accumulate(self, cell: Cell, source: Pointer, gradient: Pointer) -> None:
        """Add a cell's products: `source` is the first column of its base row, `gradient` that of its first result."""
        k, lanes, channels = self.k, self.lanes, self.spec.channels
        vectors = list(enumerate(cell.lane_counts))
        gradients = [
            [k.load(gradient, self.out_width * (i * channels) + j * lanes, lanes, n) for j, n in vectors]
            for i in range(cell.run.size)
        ]
        kernel_row = self.spec.columns.taps * channels
        for tap, column in cell.taps.loop(k):
            pixel = k.offset(source, column * channels)
            sums = k.offset(self.sums, tap * channels + cell.channel)
            offsets = {(r, j): r * kernel_row + j * lanes for r in cell.run.taps for j, _ in vectors}
            totals = {(r, j): k.load(sums, at, lanes, cell.lane_counts[j]) for (r, j), at in offsets.items()}
            for position in cell.run.positions:
                for j, n in vectors:
                    value = k.load(pixel, self.width * (position * channels) + j * lanes, lanes, n)
                    for i, r in cell.run.readers(position):
                        totals[r, j] = k.fma(value, gradients[i][j], totals[r, j])
            for (r, j), at in offsets.items():
                k.store(sums, at, totals[r, j], cell.lane_counts[j])
