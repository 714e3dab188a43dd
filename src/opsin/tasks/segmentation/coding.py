"""What the values of masks mean: a table from values to class ids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.base.concurrency import lazy
from opsin.tasks.segmentation.pixels import COLOUR, Pixels

IGNORE = 255
"""The class id of pixels that do not count."""

MAX_CLASSES = 255
"""Class ids are 0 to 254."""

BACKGROUND, FOREGROUND = "background", "foreground"
BINARY = (BACKGROUND, FOREGROUND)

Ids = NDArray[np.uint8]


@dataclass(frozen=True)
class ValueTable:
    """Maps each of the `values` to a class id; other values are ignored, or get the id `others`.

    `colour`: the values are colours, also those of a palette. `threshold`: values of at least this are foreground,
    others background, and the table is not used.
    """

    values: tuple[int, ...] = ()
    ids: tuple[int, ...] = ()
    colour: bool = False
    others: int = IGNORE
    threshold: int | None = None

    @lazy
    def _sorted(self) -> tuple[NDArray[np.int32], Ids]:
        values, ids = np.array(self.values, np.int32), np.array(self.ids, np.uint8)
        order = np.argsort(values, kind="stable")
        return values[order], ids[order]

    def apply(self, pixels: Pixels) -> Ids:
        """Return the class ids H × W."""
        if self.threshold is not None:
            return (pixels.values >= self.threshold).astype(np.uint8)
        source = self.view(pixels).values
        low, high = (int(source.min()), int(source.max())) if source.size else (0, 0)
        if low >= 0 and high < 2**16:
            return self.ids_of(np.arange(high + 1, dtype=np.int32))[source]
        return self.ids_of(source)

    def view(self, pixels: Pixels) -> Pixels:
        """Return the pixels in the form that the table refers to: colours, or grey values and indices."""
        if not self.colour:
            return pixels
        if pixels.mode == COLOUR:
            return pixels
        if pixels.palette:
            return pixels.colours
        grey = pixels.values.clip(0, 255)
        return Pixels(grey << 16 | grey << 8 | grey, COLOUR, lossy=pixels.lossy)

    def ids_of(self, source: NDArray[np.int32]) -> Ids:
        """Return the class id of each value."""
        values, ids = self._sorted
        if not len(values):
            return np.full(source.shape, self.others, np.uint8)
        place = np.searchsorted(values, source).clip(0, len(values) - 1)
        return np.where(values[place] == source, ids[place], np.uint8(self.others))
