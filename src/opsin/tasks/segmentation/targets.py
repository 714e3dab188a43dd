"""Descriptions of an image's target, from which its mask is decoded when it is needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.tasks.annotations import Files
from opsin.tasks.segmentation import pixels, rle
from opsin.tasks.segmentation.coding import IGNORE, Ids, ValueTable
from opsin.tasks.segmentation.problems import MASK_SIZE, MaskError


@dataclass(frozen=True, slots=True)
class MaskFile:
    """A mask in a file, of `size` (height, width), whose values `table` maps to class ids."""

    path: str
    size: tuple[int, int]
    table: ValueTable

    def load(self, files: Files, size: tuple[int, int]) -> Ids:
        """Return the class ids, uint8 of `size` (height, width), by the nearest pixels. Raise `MaskError`."""
        mask_pixels = pixels.decode(files.read(self.path))
        if mask_pixels.size != self.size:
            raise MaskError(f"{self.path}: the mask has changed since the data was read", MASK_SIZE)
        return resized(self.table.apply(mask_pixels), size)


@dataclass(frozen=True, slots=True)
class Region:
    """An area of a class: polygons (x, y, x, y, … in pixels), or the counts of a run-length code."""

    class_id: int
    polygons: tuple[tuple[float, ...], ...] = ()
    counts: tuple[int, ...] | bytes = ()

    def mask(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Return which pixels of an image of `size` belong to the region. Raise `MaskError`."""
        if self.polygons:
            return rle.rasterize(self.polygons, size)
        return rle.decode(self._lengths(), size)

    def check(self, size: tuple[int, int]) -> None:
        """Raise `MaskError` if the region describes no area of an image of `size`."""
        for polygon in self.polygons:
            rle.checked_polygon(polygon, size)
        if not self.polygons:
            rle.checked_counts(self._lengths(), size)

    def _lengths(self) -> tuple[int, ...]:
        return rle.decompress(self.counts) if isinstance(self.counts, bytes) else self.counts


@dataclass(frozen=True, slots=True)
class Regions:
    """Regions of an image of `size` (height, width); pixels in none are background, class 0.

    Where regions overlap, the smaller one is on top, as it would otherwise disappear.
    """

    size: tuple[int, int]
    regions: tuple[Region, ...] = ()

    def load(self, files: Files, size: tuple[int, int]) -> Ids:
        """Return the class ids, uint8 of `size` (height, width), by the nearest pixels. Raise `MaskError`."""
        ids = np.zeros(self.size, np.uint8)
        masks = [(region.class_id, region.mask(self.size)) for region in self.regions]
        for class_id, mask in sorted(masks, key=lambda entry: -int(entry[1].sum())):
            ids[mask] = class_id
        return resized(ids, size)


Target = MaskFile | Regions


def resized(ids: NDArray[Any], size: tuple[int, int]) -> Ids:
    """Return class ids H × W at another size, by the nearest pixels; those of `Geometry.resize`."""
    if ids.shape == size:
        return np.ascontiguousarray(ids, np.uint8)
    if 0 in ids.shape:
        return np.full(size, IGNORE, np.uint8)
    rows, columns = ((2 * np.arange(new) + 1) * old // (2 * new) for old, new in zip(ids.shape, size, strict=True))
    return np.ascontiguousarray(ids[rows[:, None], columns], np.uint8)
