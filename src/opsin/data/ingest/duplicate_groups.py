"""Groups of duplicate images in a data set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.data.ingest.duplicates import exact_duplicates, near_duplicates
from opsin.data.ingest.findings import EXACT, NEAR, Duplicates, Member


@dataclass(frozen=True)
class DuplicateGroups:
    """The groups that N images belong to.

    For each image, `exact` is the index of the first image with equal content, and `near` the index of the first
    image that shows the same. `compared` is false if too many images are too similar to compare their thumbnails.
    """

    exact: NDArray[np.intp]
    near: NDArray[np.intp]
    compared: bool

    @classmethod
    def of(
        cls, digests: NDArray[np.uint8], thumbnail_hashes: NDArray[np.uint8], sizes: NDArray[np.int32]
    ) -> DuplicateGroups:
        """Group images by the digests of their contents and by their thumbnails; `sizes` are heights and widths."""
        exact = exact_duplicates(digests)
        near = near_duplicates(exact, thumbnail_hashes, sizes)
        return cls(exact, exact if near is None else near, near is not None)

    def exact_only(self) -> DuplicateGroups:
        """Return the groups of equal images alone, for frames of a film, of which neighbours always look alike."""
        return DuplicateGroups(self.exact, self.exact, self.compared)

    def duplicates(self, names: Sequence[str], labels: Sequence[str], splits: Sequence[str]) -> tuple[Duplicates, ...]:
        """Return all groups of more than one image, in the order of their first images."""
        groups: dict[int, list[int]] = defaultdict(list)
        counts = np.bincount(self.near, minlength=len(self.near))
        for index in np.flatnonzero(counts[self.near] > 1).tolist():
            groups[int(self.near[index])].append(index)
        return tuple(
            Duplicates(
                EXACT if len({int(self.exact[index]) for index in group}) == 1 else NEAR,
                tuple(Member(names[index], labels[index], splits[index]) for index in group),
            )
            for group in groups.values()
        )
