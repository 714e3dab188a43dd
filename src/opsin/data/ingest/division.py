"""From what was read to the parts of a dataset and its receipt: duplicates, division, counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.data.ingest import duplicates, split
from opsin.data.ingest.receipt import EXACT, NEAR, Duplicates, Member, Sizes
from opsin.data.items import SPLITS, TEST, TRAIN, UNSPLIT, VALIDATION


@dataclass(frozen=True)
class DuplicateGroups:
    """Of N images: `same` is the number of the first with equal content, `groups` of the first that shows the same.

    `compared` tells whether looks were compared; there may be too many too alike.
    """

    same: NDArray[np.intp]
    groups: NDArray[np.intp]
    compared: bool

    @classmethod
    def of(
        cls, digests: NDArray[np.uint8], thumbnail_hashes: NDArray[np.uint8], sizes: NDArray[np.int32]
    ) -> DuplicateGroups:
        same = duplicates.exact_duplicates(digests)
        groups = duplicates.near_duplicates(same, thumbnail_hashes, sizes)
        return cls(same, same if groups is None else groups, groups is not None)

    def found(self, names: Sequence[str], labels: Sequence[str], parts: Sequence[str]) -> tuple[Duplicates, ...]:
        """All groups of more than one, in the order of their first members."""
        members: dict[int, list[int]] = defaultdict(list)
        counts = np.bincount(self.groups, minlength=len(self.groups))
        for number in np.flatnonzero(counts[self.groups] > 1).tolist():
            members[int(self.groups[number])].append(number)
        return tuple(
            Duplicates(
                EXACT if len({int(self.same[n]) for n in numbers}) == 1 else NEAR,
                tuple(Member(names[n], labels[n], parts[n]) for n in numbers),
            )
            for numbers in members.values()
        )


def assign(
    given: Sequence[str], labels: NDArray[np.int32], groups: NDArray[np.intp], rank: NDArray[np.uint64]
) -> tuple[NDArray[np.str_], str]:
    """The part of each image, and a sentence about where the parts come from.

    `given` are the source's own parts. A missing test part is held out of the training images, a missing validation
    part out of what then remains of them; what the source has put into a part stays there.
    """
    parts = np.array([TRAIN if part == UNSPLIT else part for part in given], dtype="<U10")
    own = [part for part in SPLITS if part in given]
    for part, share, most in (
        (TEST, split.TEST_SHARE, None),
        (VALIDATION, split.VALIDATION_SHARE, split.MAX_VALIDATION_IMAGES),
    ):
        if part not in own:
            pool = np.flatnonzero(parts == TRAIN)
            parts[split.held_out(labels, groups, rank, pool, share, most)] = part
    return parts, _sentence(own)


def _sentence(own: list[str]) -> str:
    test, validation = f"a {_share(split.TEST_SHARE)} of each class", f"a {_share(split.VALIDATION_SHARE)}"
    if TEST in own and VALIDATION in own:
        return "the data's own"
    if TEST in own:
        return f"the data's own; validation is {validation} of each class of train, {split.MAX_VALIDATION_IMAGES:,} at most"
    if VALIDATION in own:
        return f"validation is the data's own; test is {test}, held out of train"
    return f"made here: test is {test}, validation {validation} of the rest, always the same images"


def _share(value: float) -> str:
    return {0.2: "fifth", 0.1: "tenth"}[value]


def sizes_of(sizes: NDArray[np.int32]) -> Sizes | None:
    """Smallest, median and largest of heights and widths (N×2)."""
    if not len(sizes):
        return None
    order = np.argsort(sizes.astype(np.int64).prod(axis=1), kind="stable")
    small, middle, large = ((int(sizes[n, 0]), int(sizes[n, 1])) for n in (order[0], order[len(order) // 2], order[-1]))
    return Sizes(small, middle, large, len(np.unique(sizes, axis=0)))


def counts_of(parts: NDArray[np.str_], labels: NDArray[np.int32], classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Images of each class in each part."""
    return {
        part: dict(zip(classes, np.bincount(labels[parts == part], minlength=len(classes)).tolist(), strict=True))
        for part in SPLITS
    }
