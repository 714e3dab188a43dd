"""How a convolution slides over an image, and in which blocks the direct algorithm takes it."""

from __future__ import annotations

from typing import Any

from opsin.kernels.conv import ConvWindow

SCRATCH = 64 * 1024
"""Elements of padded rows that a block should stay below: half a megabyte of second-level cache is common."""
PARALLEL = 16
"""Blocks there should be at least, so that threads share them evenly."""


def divisor(count: int, most: int) -> int:
    """The largest divisor of `count` that is not above `most`."""
    return max(n for n in range(1, min(count, most) + 1) if count % n == 0)


class Geometry:
    """How one convolution slides: over images of `shape` N C H W, to N K OH OW."""

    def __init__(
        self, shape: tuple[int, ...], filters: int, kernel: tuple[int, int], out: tuple[int, int], attrs: dict[str, Any]
    ) -> None:
        self.stride: tuple[int, int] = attrs["stride"]
        self.dilation: tuple[int, int] = attrs["dilation"]
        self.groups: int = attrs["groups"]
        (self.top, _), (left, _) = attrs["padding"]
        self.left: int = left
        self.kernel, self.out = kernel, out
        _, channels, self.height, self.width = shape
        self.filters: int = filters // self.groups
        self.window = ConvWindow(channels // self.groups, self.groups, kernel[1], self.stride[1], self.dilation[1])
        self.needed = (out[1] - 1) * self.stride[1] + (kernel[1] - 1) * self.dilation[1] + 1
        self.padded = left != 0 or self.needed > self.width
        before, skip = max(0, left), max(0, -left)
        self.margin = (before, skip, min(self.width - skip, self.needed - before), self.needed)

    @property
    def down(self) -> tuple[int, ...]:
        """The arguments kh, stride, dilation and top, and the margin's."""
        return (self.kernel[0], self.stride[0], self.dilation[0], self.top, *self.margin)

    def rows_read(self, rows: int) -> int:
        return min(self.height, (rows - 1) * self.stride[0] + (self.kernel[0] - 1) * self.dilation[0] + 1)

    def block(self, images: int) -> tuple[int, int, int]:
        """(rows a block, blocks an image, scratch elements a thread)."""
        height = self.out[0]
        rows = -(-height // max(1, -(-PARALLEL // images)))
        row = self.needed * self.window.pixel
        while self.padded and rows > 1 and self.rows_read(rows) * row > SCRATCH:
            rows = -(-rows // 2)
        return rows, -(-height // rows), self.rows_read(rows) * row if self.padded else 0
