"""Images with more than eight bits per channel in a data set, for its receipt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from opsin.data.decode import PixelRange
from opsin.data.ingest.file_index import DEPTHS, FileIndex
from opsin.data.ingest.findings import Remark


@dataclass(frozen=True)
class HighDepth:
    """The number of images by pixel type, the number of those that exceed the pixel range, and ignored content."""

    types: dict[str, int]
    clipped: int
    remarks: tuple[Remark, ...]

    @classmethod
    def of(
        cls, index: FileIndex, usable: NDArray[np.intp], names: Sequence[str], pixel_range: PixelRange | None
    ) -> Self:
        """Return what the index says of the `usable` images, which are called `names`."""
        high_depth = usable[index.depths[usable] > 0]
        counts = Counter(DEPTHS[depth] for depth in index.depths[high_depth].tolist())
        low, high = pixel_range or (0.0, 0.0)
        clipped = int(((index.values[high_depth, 0] < low) | (index.values[high_depth, 1] > high)).sum())
        rows = zip(usable.tolist(), names, strict=True)
        remarks = tuple(Remark(name, index.remarks[row]) for row, name in rows if row in index.remarks)
        return cls(dict(counts), clipped, remarks)
