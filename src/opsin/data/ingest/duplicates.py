"""Images that are the same, byte for byte or to the eye, found without comparing every two of them.

The hash of a look is the difference hash (N. Krawetz, "Kind of Like That", hackerfactor.com, 2013): is a cell of the
grey thumbnail brighter than its left neighbour? Saving again, scaling, brightness and contrast change few of its 64
bits. Two hashes that differ in at most `MAX_HAMMING_DISTANCE` have a quarter in which they differ in at most one bit, so looking each
quarter up among the others, as it is and with each bit turned, finds all of them (multi-index hashing: Norouzi, Punjani
& Fleet, "Fast Exact Search in Hamming Space With Multi-Index Hashing", 2014). As images of one kind of thing before
one kind of background have like hashes, too, the thumbnails have the last word.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from opsin.data.ingest.thumbnail_hash import HEIGHT, WIDTH

MAX_HAMMING_DISTANCE = 7
MIN_CORRELATION = 0.985
"""The correlation of two thumbnails from which on they show the same.

Of copies of photographs of clothes, saved anew with quality 10, in a quarter of the size, or with a fifth more contrast
or brightness, 97 to 100 % are found. Of the 7 million pairs of 3,781 different photographs none is taken for one; the
most alike reach 0.979. Copies that are cut differently, or mirrored, are mostly not found."""

MIN_CONTRAST = 4.0
"""Standard deviation of a thumbnail, in grey levels, below which it shows too little to be known again."""

MIN_SIDE = 32
"""Pixels of the shorter side below which likeness says nothing: there are not so many ways to draw a 1."""

MAX_COLOUR_DIFFERENCE = 12.0
"""Difference of mean colours, in levels of the most different one, that saving and brightening explain."""

MAX_PAIRS = 2**30
"""So many pairs of hashes are compared at most, which takes about half a minute."""

BLOCK_BYTES = 2**14
"""Pairs of thumbnails that are compared at a time."""


class DisjointSets:
    """Sets of numbers 0 … count - 1 that grow together (disjoint sets with path halving)."""

    def __init__(self, count: int) -> None:
        self.parent = list(range(count))

    def find(self, number: int) -> int:
        while self.parent[number] != number:
            self.parent[number] = self.parent[self.parent[number]]
            number = self.parent[number]
        return number

    def join(self, first: int, second: int) -> None:
        """Puts two sets together; the smallest number stands for a set."""
        low, high = sorted((self.find(first), self.find(second)))
        self.parent[high] = low

    def array(self) -> NDArray[np.intp]:
        """The number that stands for each one's set."""
        return np.array([self.find(number) for number in range(len(self.parent))], np.intp)


def exact_duplicates(digests: NDArray[np.uint8]) -> NDArray[np.intp]:
    """For each of N digests (N×B bytes) the number of the first that is equal."""
    whole = np.ascontiguousarray(digests).view(f"V{digests.shape[1]}").reshape(-1)
    _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
    found: NDArray[np.intp] = first[inverse.reshape(-1)]
    return found


def near_duplicates(
    same: NDArray[np.intp], thumbnail_hashes: NDArray[np.uint8], sizes: NDArray[np.int32]
) -> NDArray[np.intp] | None:
    """For each image the number of the first of those that show the same; `same` is what `exact_duplicates` found.

    `thumbnail_hashes` are N×`HASH_BYTES` bytes, `sizes` heights and widths. None where too many images are too alike to say.
    """
    groups = DisjointSets(len(same))
    for number, first in enumerate(same.tolist()):
        groups.join(number, first)
    judged = np.flatnonzero((same == np.arange(len(same))) & (sizes.min(axis=1, initial=2**30) >= MIN_SIDE))
    thumbnails = Thumbnails(thumbnail_hashes[judged])
    clear = np.flatnonzero(thumbnails.spread >= MIN_CONTRAST)
    pairs = candidates(thumbnails.hashes()[clear])
    if pairs is None:
        return None
    for first, second in pairs:
        for block in range(0, len(first), BLOCK_BYTES):
            one, other = clear[first[block : block + BLOCK_BYTES]], clear[second[block : block + BLOCK_BYTES]]
            match = thumbnails.match(one, other)
            for pair in zip(judged[one[match]].tolist(), judged[other[match]].tolist(), strict=True):
                groups.join(*pair)
    return groups.array()


class Thumbnails:
    """Looks (N×`HASH_BYTES` bytes), and what they have in common."""

    def __init__(self, thumbnail_hashes: NDArray[np.uint8]) -> None:
        self.thumbnails, self.hues = (
            thumbnail_hashes[:, : HEIGHT * WIDTH],
            thumbnail_hashes[:, HEIGHT * WIDTH :].astype(np.float32),
        )
        self.mean = self.thumbnails.mean(axis=1, dtype=np.float32)
        squares = np.einsum("ij,ij->i", self.thumbnails, self.thumbnails, dtype=np.float32) / (HEIGHT * WIDTH)
        self.spread = np.sqrt(np.maximum(squares - self.mean**2, 0))

    def hashes(self) -> NDArray[np.uint64]:
        """The difference hash of each: 8 rows of 9 cells give 64 bits."""
        cells = self.thumbnails.reshape(-1, 8, HEIGHT // 8, 9, WIDTH // 9).sum(axis=(2, 4), dtype=np.int32)
        bits = (cells[:, :, 1:] > cells[:, :, :-1]).reshape(-1, 64)
        return np.packbits(bits, axis=1).view(np.uint64).reshape(-1)

    def match(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Whether pairs of thumbnails correlate, and have the same colour."""
        one, other = (self.thumbnails[which] - self.mean[which, None] for which in (first, second))
        products = np.einsum("ij,ij->i", one, other) / (HEIGHT * WIDTH)
        likeness = products / (self.spread[first] * self.spread[second])
        same: NDArray[np.bool_] = likeness >= MIN_CORRELATION
        return same & _same_hue(self.hues[first], self.hues[second])


def _same_hue(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether mean colours (N×3) are as different from grey as each other, or one has lost its colour."""
    one, other = (hue - hue.mean(axis=1, keepdims=True) for hue in (first, second))
    close: NDArray[np.bool_] = np.abs(one - other).max(axis=1) <= MAX_COLOUR_DIFFERENCE
    grey: NDArray[np.bool_] = np.minimum(np.abs(one).max(axis=1), np.abs(other).max(axis=1)) < 1
    return close | grey


def candidates(values: NDArray[np.uint64]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]] | None:
    """Pairs (first < second) of hashes that differ in at most `MAX_HAMMING_DISTANCE` bits, some of them repeatedly.

    None where more than `MAX_PAIRS` would have to be compared.
    """
    masks = np.array([0] + [1 << bit for bit in range(16)], np.uint16)
    lookups, pairs = [], 0
    for quarter in range(4):
        keys = (values >> np.uint64(16 * quarter)).astype(np.uint16)
        order = np.argsort(keys, kind="stable")
        starts = np.searchsorted(keys[order], np.arange(2**16 + 1))
        lookups += [(order, starts, keys ^ mask) for mask in masks]
        pairs += sum(int((starts[1:] - starts[:-1])[keys ^ mask].sum()) for mask in masks)
    return _close(values, lookups) if pairs <= MAX_PAIRS else None


def _close(
    values: NDArray[np.uint64], lookups: list[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.uint16]]]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    for order, starts, wanted in lookups:
        begin = starts[wanted]
        for first, places in _spread(begin, starts[wanted.astype(np.intp) + 1] - begin):
            second = order[places]
            close = (first < second) & (popcount(values[first] ^ values[second]) <= MAX_HAMMING_DISTANCE)
            yield first[close], second[close]


def _spread(begin: NDArray[np.intp], count: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """The numbers i, each `count[i]` times, and beside them begin[i], begin[i] + 1, …; about 262,144 at a time."""
    ends = np.cumsum(count)
    blocks = np.searchsorted(ends, np.arange(0, count.sum(), 2**18), side="right")
    for low, high in zip(blocks, [*blocks[1:], len(begin)], strict=False):
        some = count[low:high]
        first = np.repeat(np.arange(low, high), some)
        offsets = np.arange(int(some.sum())) - np.repeat(np.cumsum(some) - some, some)
        yield first, np.repeat(begin[low:high], some) + offsets


def popcount(words: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """How many bits of each word are set."""
    counts = BITS_OF_BYTE[np.ascontiguousarray(words).view(np.uint8).reshape(-1, 8)]
    total: NDArray[np.uint8] = counts.sum(axis=1, dtype=np.uint8)
    return total


BITS_OF_BYTE = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1).astype(np.uint8)
