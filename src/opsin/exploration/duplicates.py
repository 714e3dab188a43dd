"""Near-duplicates: images that show the same, and what distinguishes each copy from the one to keep."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.data.ingest.duplicates import Thumbnails, exact_duplicates, near_duplicates
from opsin.data.ingest.thumbnail_hash import mirrored
from opsin.exploration.folder import ImageFolder

SAME_FILE, SAME_PIXELS, SAVED_AGAIN, RESIZED, MIRRORED = (
    "same file", "same pixels", "saved again", "resized", "mirrored",
)  # fmt: skip
"""How a copy differs from the image to keep: not at all, in the file only, by compression or colour, in size, or it is
its mirror image."""


@dataclass(frozen=True)
class Copy:
    """An image by its number, and how it differs from the image to keep."""

    number: int
    kind: str


@dataclass(frozen=True)
class CopySet:
    """Images that show the same: `keep` has the most pixels; of several, it is the first."""

    keep: int
    copies: tuple[Copy, ...]

    def to_data(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Return the set for JSON."""
        copies = [{"name": names[copy.number], "kind": copy.kind} for copy in self.copies]
        return {"keep": names[self.keep], "copies": copies}


def find_copies(images: ImageFolder) -> tuple[CopySet, ...] | None:
    """Return the images that show the same, in the order of the first ones; None if too many look alike.

    Copies are found if they were saved again, scaled, brightened or mirrored (see `opsin.data.ingest.duplicates`), but
    not if they were cropped or turned.
    """
    exact = exact_duplicates(images.digests)
    first = near_duplicates(exact, images.thumbnail_hashes, images.sizes, mirrors=True)
    if first is None:
        return None
    sets: dict[int, list[int]] = defaultdict(list)
    for number, leader in enumerate(first.tolist()):
        sets[leader].append(number)
    return tuple(_copy_set(images, exact, members) for members in sets.values() if len(members) > 1)


def _copy_set(images: ImageFolder, exact: NDArray[np.intp], members: list[int]) -> CopySet:
    areas = images.sizes[members].astype(np.int64).prod(axis=1)
    keep = members[int(areas.argmax())]
    others = [number for number in members if number != keep]
    return CopySet(keep, tuple(Copy(number, _kind(images, exact, keep, number)) for number in others))


def _kind(images: ImageFolder, exact: NDArray[np.intp], keep: int, number: int) -> str:
    """Return how image `number` differs from `keep`."""
    if exact[number] == exact[keep]:
        return SAME_FILE
    hashes = images.thumbnail_hashes[[keep, number]]
    thumbnails = Thumbnails(np.concatenate([hashes, mirrored(hashes[1:])]))
    plain, turned = thumbnails.correlation(np.zeros(2, np.intp), np.array([1, 2], np.intp))
    if turned > plain:
        return MIRRORED
    if (images.sizes[keep] != images.sizes[number]).any():
        return RESIZED
    first, second = images.pixels[np.array([keep, number], np.intp)]
    return SAME_PIXELS if np.array_equal(first, second) else SAVED_AGAIN
