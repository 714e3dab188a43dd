"""The geometry of a convolution: its windows, and the blocks of the direct algorithm."""

from __future__ import annotations

from typing import Any

from opsin.compiler.cost_model import CostModel
from opsin.kernels.conv import MARGIN_WORDS, ConvWindow


def divisor(count: int, limit: int) -> int:
    """Return the largest divisor of `count` that is at most `limit`."""
    return max(n for n in range(1, min(count, limit) + 1) if count % n == 0)


def block_size(count: int, size: int, costs: CostModel) -> int:
    """Return the elements of a block for `count` of them: about `size`.

    It is up to a fifteenth more if that makes the number of blocks a multiple of `min_blocks`: of 17 blocks, 16 threads
    would compute one each, and then wait for the last.
    """
    blocks = -(-count // size)
    excess = blocks % costs.min_blocks
    return -(-count // (blocks - excess)) if 0 < excess * costs.min_blocks <= blocks - excess else size


def is_depthwise(weight_shape: tuple[int, ...], groups: int) -> bool:
    """Whether weights K × C/groups × kh × kw are one kernel for each of several channels."""
    return groups > 1 and weight_shape[:2] == (groups, 1)


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
        self.padded_width = (out[1] - 1) * self.stride[1] + (kernel[1] - 1) * self.dilation[1] + 1
        self.is_padded = left != 0 or self.padded_width > self.width

    @property
    def is_in_place(self) -> bool:
        """Whether every output pixel reads the input pixel of the same number, and nothing else."""
        is_plain = self.kernel == self.stride == (1, 1) and not self.is_padded and self.top == 0
        return is_plain and self.out == (self.height, self.width)

    @property
    def row_words(self) -> dict[str, int]:
        """The words of the direct kernels that say how windows move by rows, and how rows are padded."""
        before, skip = max(0, self.left), max(0, -self.left)
        margin = (before, skip, min(self.width - skip, self.padded_width - before), self.padded_width)
        words = {"kh": self.kernel[0], "sh": self.stride[0], "dh": self.dilation[0], "top": self.top}
        return words | dict(zip(MARGIN_WORDS, margin, strict=True))

    def rows_read(self, rows: int) -> int:
        """Return how many input rows `rows` output rows read."""
        return min(self.height, (rows - 1) * self.stride[0] + (self.kernel[0] - 1) * self.dilation[0] + 1)

    def block(self, blocks: int, costs: CostModel, padded: bool) -> tuple[int, int, int]:
        """Return (rows of a block, blocks of an image, scratch elements of a thread), for about `blocks` blocks.

        If rows are `padded`, a block pads at most `direct_max_padded_elements`, unless a single row needs more.
        """
        height = self.out[0]
        rows = -(-height // blocks)
        row = self.padded_width * self.window.pixel
        while padded and rows > 1 and self.rows_read(rows) * row > costs.direct_max_padded_elements:
            rows = -(-rows // 2)
        return rows, -(-height // rows), self.rows_read(rows) * row if padded else 0
