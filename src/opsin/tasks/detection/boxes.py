"""Boxes of objects: the targets of object detection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from opsin.tasks.geometry import Geometry

Floats = NDArray[np.float64]

MIN_VISIBLE = 0.25
"""The share of a box's area that has to remain inside the image after augmentation."""

MIN_PIXELS = 1.0
"""The width and height that a box needs after augmentation, in pixels of the network's input."""

GRID = 100
"""Annotations are usually whole pixels or hundredths; `Boxes.pixels` restores such numbers exactly."""

FLOAT32_ERROR = 2.0**-23


@dataclass(frozen=True, eq=False, slots=True)
class ImageBoxes:
    """The boxes of one image, as a reader finds them. `size` is the height and width of the image in pixels.

    `coordinates` are M × (left, top, right, bottom) as shares of the image's width and height; `areas` are in pixels.
    """

    coordinates: NDArray[np.float32]
    classes: NDArray[np.int32]
    difficult: NDArray[np.bool_]
    crowd: NDArray[np.bool_]
    areas: NDArray[np.float32]
    size: tuple[int, int]

    @classmethod
    def of(
        cls,
        coordinates: ArrayLike,
        classes: ArrayLike,
        size: tuple[int, int],
        difficult: ArrayLike | None = None,
        crowd: ArrayLike | None = None,
        areas: ArrayLike | None = None,
    ) -> Self:
        """Return boxes with defaults: none difficult, no crowd, the areas of the boxes themselves."""
        corners = np.array(coordinates, np.float32).reshape(-1, 4)
        count, none = len(corners), np.zeros(len(corners), np.bool_)
        return cls(
            corners,
            np.array(classes, np.int32).reshape(count),
            none if difficult is None else np.array(difficult, np.bool_).reshape(count),
            none if crowd is None else np.array(crowd, np.bool_).reshape(count),
            (box_areas(corners) * (size[0] * size[1]) if areas is None else np.array(areas)).astype(np.float32),
            size,
        )

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(frozen=True, eq=False)
class Boxes:
    """The boxes of N images: those of image i are the rows `starts[i]` to `starts[i + 1]`."""

    coordinates: NDArray[np.float32]
    """M × (left, top, right, bottom) as shares of the image's width and height, from its left and upper edges."""
    classes: NDArray[np.int32]
    """The class of each box (M)."""
    difficult: NDArray[np.bool_]
    """Whether a box is marked as hard to recognize (M), as Pascal VOC does."""
    crowd: NDArray[np.bool_]
    """Whether a box surrounds a group of objects (M), as COCO's iscrowd says."""
    areas: NDArray[np.float32]
    """The area of each object in pixels of the original image (M); COCO gives that of the object's outline."""
    starts: NDArray[np.intp]
    """The number of boxes before each image (N + 1)."""
    sizes: NDArray[np.int32]
    """Height and width of each original image in pixels (N × 2)."""

    def __len__(self) -> int:
        return len(self.sizes)

    @classmethod
    def stack(cls, images: Sequence[ImageBoxes]) -> Self:
        """Return the boxes of several images together."""
        counts = [len(image) for image in images]
        return cls(
            _joined([image.coordinates for image in images], np.float32, (4,)),
            _joined([image.classes for image in images], np.int32),
            _joined([image.difficult for image in images], np.bool_),
            _joined([image.crowd for image in images], np.bool_),
            _joined([image.areas for image in images], np.float32),
            np.cumsum([0, *counts], dtype=np.intp),
            np.array([image.size for image in images], np.int32).reshape(-1, 2),
        )

    def of(self, image: int) -> ImageBoxes:
        """Return the boxes of one image."""
        image = range(len(self))[image]
        rows = slice(int(self.starts[image]), int(self.starts[image + 1]))
        height, width = self.sizes[image].tolist()
        return ImageBoxes(
            self.coordinates[rows],
            self.classes[rows],
            self.difficult[rows],
            self.crowd[rows],
            self.areas[rows],
            (height, width),
        )

    @property
    def image(self) -> NDArray[np.intp]:
        """The number of the image of each box (M)."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def take(self, indices: NDArray[np.intp]) -> Self:
        """Return the boxes of some images, in the order of `indices`."""
        indices = np.asarray(indices, np.intp)
        indices = np.where(indices < 0, indices + len(self), indices)
        counts = np.diff(self.starts)[indices]
        starts = np.cumsum([0, *counts], dtype=np.intp)
        rows = np.arange(starts[-1]) + np.repeat(self.starts[:-1][indices] - starts[:-1], counts)
        return self._select(rows, starts, self.sizes[indices])

    @classmethod
    def concatenate(cls, parts: Iterable[Self]) -> Self:
        """Return the images of all parts, one part after another."""
        every = list(parts)
        counts = np.concatenate([np.zeros(1, np.intp), *(np.diff(part.starts) for part in every)])
        return cls(
            _joined([part.coordinates for part in every], np.float32, (4,)),
            _joined([part.classes for part in every], np.int32),
            _joined([part.difficult for part in every], np.bool_),
            _joined([part.crowd for part in every], np.bool_),
            _joined([part.areas for part in every], np.float32),
            np.cumsum(counts, dtype=np.intp),
            _joined([part.sizes for part in every], np.int32, (2,)),
        )

    def strata(self) -> NDArray[np.int32]:
        """Return the class by which each image is put into a split (N): its rarest; 0 for images without boxes.

        The rarest class of an image is the one that the fewest images show, so that each split gets its share of it.
        Groups are numbered from 1 in the order of the classes.
        """
        pairs = self._image_classes()
        frequency = np.bincount(pairs[:, 1]) if len(pairs) else np.zeros(0, np.intp)
        strata = np.zeros(len(self), np.int32)
        order = np.argsort(frequency[pairs[:, 1]], kind="stable")[::-1]
        strata[pairs[order, 0]] = pairs[order, 1] + 1
        return strata

    def counts(self, labels: int) -> list[int]:
        """Return the number of images that show each of so many classes."""
        counts: list[int] = np.bincount(self._image_classes()[:, 1], minlength=labels).tolist()
        return counts

    def _image_classes(self) -> NDArray[np.intp]:
        """Return each class in each image once, P × (image, class)."""
        return np.unique(np.stack([self.image, self.classes.astype(np.intp)], axis=1), axis=0)

    def content(self) -> bytes:
        """Return a BLAKE2b hash of the content, 16 bytes."""
        digest = blake2b(digest_size=16)
        for array in (self.coordinates, self.classes, self.difficult, self.crowd, self.areas, self.starts, self.sizes):
            kind = array.dtype.newbyteorder("<") if array.dtype.kind != "i" else np.dtype("<i8")
            digest.update(str(array.shape).encode() + np.ascontiguousarray(array, kind).tobytes())
        return digest.digest()

    def pixels(self) -> Floats:
        """Return the coordinates in pixels of the original images (M × 4, float64).

        Where float32 only rounded a whole number of hundredths of a pixel, the result is this number.
        """
        scale = self.sizes[self.image][:, [1, 0, 1, 0]].astype(np.float64)
        values = self.coordinates.astype(np.float64) * scale
        snapped = np.round(values * GRID) / GRID
        return np.where(np.abs(values - snapped) <= FLOAT32_ERROR * scale, snapped, values)

    def moved(self, geometry: Geometry, min_visible: float = MIN_VISIBLE) -> Self:
        """Return the boxes after augmentation, one map of `geometry` for each image.

        The four corners are mapped; the box around them is clipped to the image. A box is dropped if less than the
        share `min_visible` of its area remains, or less than a pixel of its width or height. The box around a rotated
        box is larger than the object, so strong rotations make boxes loose.
        """
        around = self._around(geometry)
        clipped = around.clip(0.0, 1.0)
        before, after = box_areas(around), box_areas(clipped)
        height, width = geometry.output_size
        extents = (clipped[:, 2:] - clipped[:, :2]) * (width, height)
        rows = np.flatnonzero((after >= min_visible * before) & (extents >= MIN_PIXELS).all(1))
        starts = np.searchsorted(rows, self.starts).astype(np.intp)
        moved = self._select(rows, starts, self.sizes)
        original = box_areas(self.coordinates.astype(np.float64))[rows]
        growth = np.divide(after[rows], original, out=np.ones(len(rows)), where=original > 0)
        areas = (moved.areas * growth).astype(np.float32)
        return type(self)(
            clipped[rows].astype(np.float32), moved.classes, moved.difficult, moved.crowd, areas, starts, self.sizes
        )

    def _around(self, geometry: Geometry) -> Floats:
        """Return the boxes around the mapped corners (M × 4), which may reach outside the image."""
        corners = self.coordinates[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2).astype(np.float64)
        points = geometry.forward(np.repeat(self.image, 4), corners).reshape(-1, 4, 2)
        return np.concatenate([points.min(1), points.max(1)], axis=1)

    def _select(self, rows: NDArray[np.intp], starts: NDArray[np.intp], sizes: NDArray[np.int32]) -> Self:
        return type(self)(
            self.coordinates[rows],
            self.classes[rows],
            self.difficult[rows],
            self.crowd[rows],
            self.areas[rows],
            starts,
            sizes,
        )


def box_areas(boxes: NDArray[Any]) -> NDArray[Any]:
    """Return the areas of M × (left, top, right, bottom)."""
    areas: NDArray[Any] = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return areas


def intersections(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Return the areas that each box of `a` (M × 4) shares with each of `b` (N × 4), M × N."""
    width = np.minimum(a[:, None, 2], b[None, :, 2]) - np.maximum(a[:, None, 0], b[None, :, 0])
    height = np.minimum(a[:, None, 3], b[None, :, 3]) - np.maximum(a[:, None, 1], b[None, :, 1])
    shared: NDArray[Any] = width.clip(0) * height.clip(0)
    return shared


def iou(a: NDArray[Any], b: NDArray[Any], crowd: NDArray[np.bool_] | None = None) -> NDArray[Any]:
    """Return the intersection over union of each box of `a` (M × 4) with each of `b` (N × 4), M × N.

    For the boxes of `b` that are a `crowd` (N), COCO divides by the area of `a` alone: a detection inside a crowd
    fits it. The result is 0 where the boxes share no area.
    """
    shared = intersections(a, b)
    own = np.broadcast_to(box_areas(a)[:, None], shared.shape)
    union = own + box_areas(b)[None] - shared
    if crowd is not None:
        union = np.where(crowd[None], own, union)
    result: NDArray[Any] = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
    return result


def _joined(arrays: Sequence[NDArray[Any]], kind: type[np.generic], tail: tuple[int, ...] = ()) -> NDArray[Any]:
    return np.concatenate([np.zeros((0, *tail), kind), *arrays]).astype(kind, copy=False)
