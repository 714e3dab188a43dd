"""The masks of N images in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.tasks.geometry import Geometry
from opsin.tasks.segmentation.coding import IGNORE, Ids


@dataclass(frozen=True, eq=False)
class Masks:
    """Class ids of N images, uint8 N × H × W; 255 is ignored. All images of a data set are decoded to one size."""

    ids: Ids

    def __post_init__(self) -> None:
        if self.ids.dtype != np.uint8 or self.ids.ndim != 3:
            raise DataError(
                f"masks are uint8 N × H × W, not {self.ids.dtype} {self.ids.shape}; stack one for each image"
            )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.ids.shape[1], self.ids.shape[2]

    def take(self, indices: NDArray[np.intp]) -> Self:
        """Return the masks of some images."""
        return type(self)(self.ids[indices])

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Return the masks of all parts, which have the same size."""
        if len({part.size for part in parts}) != 1:
            sizes = sorted({part.size for part in parts})
            raise DataError(f"masks of the sizes {sizes} cannot be joined; decode all images to one size")
        return cls(np.concatenate([part.ids for part in parts]))

    def pixel_counts(self) -> NDArray[np.int64]:
        """Return the number of pixels with each id in each image, N × 256."""
        counts = [np.bincount(mask.reshape(-1), minlength=IGNORE + 1) for mask in self.ids]
        return np.array(counts, np.int64).reshape(len(self), IGNORE + 1)

    def strata(self) -> NDArray[np.int32]:
        """Return a group number for each image: its rarest class, and whether that covers much of the image.

        The rarest class is the one that occurs in the fewest images, of those with the fewest pixels; much is more than
        in the median image of the group.
        """
        counts = self.pixel_counts()[:, :IGNORE]
        rank = np.lexsort((counts.sum(0), (counts > 0).sum(0)))
        order: NDArray[np.intp] = np.empty(IGNORE, np.intp)
        order[rank] = np.arange(IGNORE)
        rarest = np.where(counts > 0, order, IGNORE).argmin(1)
        area = counts[np.arange(len(self)), rarest]
        strata: NDArray[np.int32] = (2 * rarest).astype(np.int32)
        for group in np.unique(rarest):
            members = rarest == group
            strata[members] += area[members] > np.median(area[members])
        return strata

    def counts(self, labels: int) -> list[int]:
        """Return the number of images that show each of so many classes."""
        counts: list[int] = (self.pixel_counts()[:, :labels] > 0).sum(0).tolist()
        return counts

    def content(self) -> bytes:
        """Return a hash of size and class ids."""
        shape = np.array(self.ids.shape, "<i8").tobytes()
        return hashlib.blake2b(shape + np.ascontiguousarray(self.ids).tobytes(), digest_size=32).digest()

    def moved(self, geometry: Geometry) -> NDArray[np.int32]:
        """Return the masks as the geometry moves their images, N × h × w: nearest pixels, and 255 outside."""
        if len(geometry) != len(self) or geometry.input_size != self.size:
            raise DataError(
                f"a geometry of {len(geometry)} images of {geometry.input_size} cannot move {len(self)} masks of "
                f"{self.size}; give one for the same images"
            )
        moved = np.empty((len(self), *geometry.output_size), np.int32)
        _, _, c, _, e, _ = geometry.maps.T
        straight = (c == 0) & (e == 0)
        for i, mask in enumerate(self.ids):
            moved[i] = _straight(mask, geometry, i) if straight[i] else _moved(mask, geometry, i)
        return moved


def _moved(mask: Ids, geometry: Geometry, image: int) -> Ids:
    row, column, inside = geometry.sources(image)
    moved: Ids = mask.reshape(-1)[row * mask.shape[1] + column]
    moved[~inside] = IGNORE
    return moved


def _straight(mask: Ids, geometry: Geometry, image: int) -> Ids:
    """Move a mask whose rows remain rows: compute the sources of `Geometry.sources` once per row and column."""
    a, b, _, d, _, f = geometry.maps[image].astype(np.float64)
    row, outside_rows = _sources(a, b, geometry.output_size[0], mask.shape[0])
    column, outside_columns = _sources(d, f, geometry.output_size[1], mask.shape[1])
    moved: Ids = mask[row].take(column, axis=1)
    moved[outside_rows] = IGNORE
    moved[:, outside_columns] = IGNORE
    return moved


def _sources(start: float, step: float, count: int, size: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the nearest source of each output pixel along an axis of `size` pixels, and whether it lies outside."""
    source = np.floor(start + step * np.arange(count) + 0.5).astype(np.intp)
    return source.clip(0, size - 1), (source < 0) | (source >= size)
