"""Which images are held out: a share of each class, the same ones every time, and alike images on one side."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter

TEST_SHARE = 0.2
"""The share of each class that is held out to measure with, where the data brings no test part."""

VALIDATION_SHARE = 0.1
"""The share of each class's training images that is held out to choose by, where the data brings no such part."""

MAX_VALIDATION_IMAGES = 5000
"""Images that are enough to choose by, however many there are."""


def ranks(digests: NDArray[np.uint8], seed: int) -> NDArray[np.uint64]:
    """A random number for each file (N×B bytes) that depends on its content and the seed alone.

    So most images stay on their side when others are added.
    """
    key = seed.to_bytes(16, "little", signed=True)
    words = [blake2b(digest.tobytes(), digest_size=8, key=key).digest() for digest in digests]
    return np.frombuffer(b"".join(words), np.uint64)


def numbered_ranks(count: int, seed: int) -> NDArray[np.uint64]:
    """A random number for each of `count` images without files."""
    return random_counter.words(count, seed, random_counter.SPLIT)


def held_out(
    labels: NDArray[np.int32],
    groups: NDArray[np.intp],
    rank: NDArray[np.uint64],
    candidates: NDArray[np.intp],
    share: float,
    most: int | None = None,
) -> NDArray[np.intp]:
    """The numbers, among `candidates`, of those to hold out: about `share` of each class, `most` in all.

    Images of one of `groups` stay together: of the class that most of them have, they are held out all or none.
    Every class keeps one image at least, and gives one where it has two that may be parted.
    """
    round_up = 0.5
    if most is not None and share * len(candidates) > most:
        share, round_up = most / len(candidates), 0.0
    _, group = np.unique(groups[candidates], return_inverse=True)
    sizes = np.bincount(group)
    order = np.lexsort((rank[candidates], group))
    first = candidates[order[np.searchsorted(group[order], np.arange(len(sizes)))]]  # of each group that of lowest rank
    label = _commonest(group, labels[candidates], len(sizes))
    chosen = np.zeros(len(sizes), bool)
    for number in np.unique(label):
        members = np.flatnonzero(label == number)
        members = members[np.argsort(rank[first[members]], kind="stable")]
        chosen[_fill(members, sizes, share, round_up)] = True
    return candidates[chosen[group]]


def _fill(members: NDArray[np.intp], sizes: NDArray[np.intp], share: float, round_up: float) -> list[int]:
    """Groups in order, as long as they fit into the share of their images."""
    total = int(sizes[members].sum())
    wanted = min(max(1, int(share * total + round_up)), total - 1)
    taken, room = [], wanted
    for member in members.tolist():
        if sizes[member] <= room:
            taken.append(member)
            room -= int(sizes[member])
    if not taken and len(members) > 1:  # every group is larger than the share
        taken = [int(members[np.argmin(sizes[members])])]
    return taken


def _commonest(group: NDArray[np.intp], labels: NDArray[np.int32], count: int) -> NDArray[np.intp]:
    """The label that most images of each group have, the lowest of equally frequent ones."""
    pairs, times = np.unique(np.stack([group, labels], axis=1), axis=0, return_counts=True)
    order = np.lexsort((-pairs[:, 1], times, pairs[:, 0]))
    common = np.empty(count, np.intp)
    common[pairs[order, 0]] = pairs[order, 1]  # the last one of each group stays
    return common
