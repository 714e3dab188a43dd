"""The order in which a kernel reads an image and writes its results, from which it follows how they may share memory.

Results may replace rows of the image that are no longer needed, as in vMCU (Zheng et al., "vMCU: Coordinated Memory
Management and Kernel Optimization for DNN Inference on MCUs", 2024).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RowOrder:
    """A kernel computes `count` rows of results from the top, `step` rows in a block.

    Row r reads rows of the image from r · `stride` - `top` on. Rows have `image_row` and `result_row` elements.
    `reads_first`: all that a block reads has been read before its first result is written.
    """

    count: int
    stride: int
    top: int
    image_row: int
    result_row: int
    step: int = 1
    reads_first: bool = False

    def distance(self, image_bytes: int, result_bytes: int) -> int:
        """Return how many bytes before the image the results must begin so that none replaces a number that is still
        to be read; elements have `image_bytes` and `result_bytes`."""
        blocks = np.arange(0, self.count, self.step)
        ends = np.minimum(blocks + self.step, self.count)
        needed = np.maximum((ends if self.reads_first else blocks) * self.stride - self.top, 0)
        distances = ends * (self.result_row * result_bytes) - needed * (self.image_row * image_bytes)
        # If the last block has read everything first, its results may replace anything.
        return int(distances[: -1 if self.reads_first else None].max(initial=0))


def in_order(count: int) -> RowOrder:
    """Return the order of a kernel that reads element after element, each before it writes the result there."""
    return RowOrder(count, 1, 0, 1, 1, reads_first=True)
