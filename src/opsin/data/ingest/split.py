"""Assign images to splits: hold out a share of each class, the same images each time, duplicates together."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter
from opsin.data.items import SPLITS, TEST, TRAIN, UNSPLIT, VALIDATION

TEST_SHARE = 0.2
"""Share of each class in the test split, if the data has none."""

VALIDATION_SHARE = 0.1
"""Share of the training images of each class in the validation split, if the data has none."""

MAX_VALIDATION_IMAGES = 5000
"""More images hardly make the validation accuracy more precise."""

FEW_IMAGES = 5
"""If no class has more training images, none is held out: they are measured by leaving out one after the other."""

FRACTION_NAMES = {0.5: "half", 0.25: "quarter", 0.2: "fifth", 0.1: "tenth"}


def content_ranks(digests: NDArray[np.uint8], seed: int) -> NDArray[np.uint64]:
    """Return a random number for each file (digests N×B bytes) that depends only on its content and the seed.

    Most images therefore stay in their split if others are added.
    """
    key = seed.to_bytes(16, "little", signed=True)
    words = [blake2b(digest.tobytes(), digest_size=8, key=key).digest() for digest in digests]
    return np.frombuffer(b"".join(words), np.uint64)


def index_ranks(count: int, seed: int) -> NDArray[np.uint64]:
    """Return a random number for each of `count` images that do not come from files."""
    return random_counter.words(count, seed, random_counter.SPLIT)


def assign_splits(
    source_splits: Sequence[str],
    labels: NDArray[np.int32],
    groups: NDArray[np.intp],
    rank: NDArray[np.uint64],
    whole: str = "each class",
    min_groups: int = 1,
    few: int = 0,
) -> tuple[NDArray[np.str_], str]:
    """Return the split of each image, and a sentence about the origin of the splits.

    `source_splits` are the splits that the source gives. A missing test split is held out of the training images, and
    then a missing validation split out of the remaining ones. Images with a split in the source stay there. The
    sentence says that shares are of `whole`. `min_groups` is as in `held_out`. If no class has more than `few` training
    images, and no validation split is given, nothing is held out.
    """
    splits = np.array([TRAIN if split == UNSPLIT else split for split in source_splits], dtype="<U10")
    predefined = [split for split in SPLITS if split in source_splits]
    if few and VALIDATION not in predefined and np.bincount(labels[splits == TRAIN], minlength=1).max() <= few:
        return splits, f"no class has more than {few} training images: all are trained on, and none is held out"
    for split, share, limit in (
        (TEST, TEST_SHARE, None),
        (VALIDATION, VALIDATION_SHARE, MAX_VALIDATION_IMAGES),
    ):
        if split not in predefined:
            candidates = np.flatnonzero(splits == TRAIN)
            splits[held_out(labels, groups, rank, candidates, share, limit, min_groups)] = split
    return splits, _split_note(predefined, whole)


def _split_note(predefined: list[str], whole: str) -> str:
    test, validation = f"a {_fraction(TEST_SHARE)} of {whole}", f"a {_fraction(VALIDATION_SHARE)}"
    if TEST in predefined and VALIDATION in predefined:
        return "given by the data"
    if TEST in predefined:
        return f"given by the data; validation is {validation} of {whole} of train, at most {MAX_VALIDATION_IMAGES:,}"
    if VALIDATION in predefined:
        return f"validation is given by the data; test is {test}, held out of train"
    return f"made by Opsin: test is {test}, validation {validation} of the rest, the same each time"


def _fraction(value: float) -> str:
    return FRACTION_NAMES.get(value, f"share of {value:g}")


def held_out(
    labels: NDArray[np.int32],
    groups: NDArray[np.intp],
    rank: NDArray[np.uint64],
    candidates: NDArray[np.intp],
    share: float,
    limit: int | None = None,
    min_groups: int = 1,
) -> NDArray[np.intp]:
    """Return the indices of the `candidates` to hold out: about `share` of each class, at most `limit` in total.

    The images of a group stay together; a group counts towards the class that most of its images have. Every class
    keeps at least one image, and at least one is held out if the class has two images in different groups. With
    `min_groups` above 1, so many groups of each class are held out and as many are kept, or none is held out.
    """
    rounding = 0.5
    if limit is not None and share * len(candidates) > limit:
        share, rounding = limit / len(candidates), 0.0
    _, group = np.unique(groups[candidates], return_inverse=True)
    sizes = np.bincount(group)
    order = np.lexsort((rank[candidates], group))
    first = candidates[order[np.searchsorted(group[order], np.arange(len(sizes)))]]  # the lowest rank of each group
    label = _majority_labels(group, labels[candidates], len(sizes))
    selected = np.zeros(len(sizes), bool)
    for number in np.unique(label):
        members = np.flatnonzero(label == number)
        members = members[np.argsort(rank[first[members]], kind="stable")]
        selected[_select_groups(members, sizes, share, rounding, min_groups)] = True
    return candidates[selected[group]]


def _select_groups(
    members: NDArray[np.intp], sizes: NDArray[np.intp], share: float, rounding: float, minimum: int
) -> list[int]:
    """Return the groups, in order, that fit into the share of their images, at least `minimum` of them."""
    if minimum > 1 and len(members) < 2 * minimum:
        return []
    total = int(sizes[members].sum())
    remaining = min(max(1, int(share * total + rounding)), total - 1)
    selected = []
    for member in members.tolist():
        if sizes[member] <= remaining:
            selected.append(member)
            remaining -= int(sizes[member])
    if len(selected) < minimum and len(members) > 1:  # most groups are larger than the share
        others = sorted((each for each in members.tolist() if each not in selected), key=lambda each: int(sizes[each]))
        selected += others[: minimum - len(selected)]
    return selected


def _majority_labels(group: NDArray[np.intp], labels: NDArray[np.int32], count: int) -> NDArray[np.intp]:
    """Return the most frequent label of each group, the lowest one if several are equally frequent."""
    pairs, frequencies = np.unique(np.stack([group, labels], axis=1), axis=0, return_counts=True)
    order = np.lexsort((-pairs[:, 1], frequencies, pairs[:, 0]))
    majority = np.empty(count, np.intp)
    majority[pairs[order, 0]] = pairs[order, 1]  # the last pair of each group is kept
    return majority


def counts_by_class(
    splits: NDArray[np.str_], labels: NDArray[np.int32], classes: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Return the number of images by split and class."""
    return {
        split: dict(zip(classes, np.bincount(labels[splits == split], minlength=len(classes)).tolist(), strict=True))
        for split in SPLITS
    }
