"""Find exact and near-duplicate images without comparing all pairs.

Candidates are found by the difference hash (N. Krawetz, "Kind of Like That", hackerfactor.com, 2013): each of its 64
bits says whether a cell of the grey thumbnail is brighter than its left neighbour. Few bits change if an image is saved
again or scaled, or if its brightness or contrast changes. Two hashes within `MAX_HAMMING_DISTANCE` differ in at most
one bit in one of their quarters. Looking up each quarter, unchanged and with each bit flipped, therefore finds all such
pairs (multi-index hashing: Norouzi, Punjani & Fleet, "Fast Exact Search in Hamming Space With Multi-Index Hashing",
2014). Since different images of similar objects on similar backgrounds may have similar hashes, the correlation of the
thumbnails decides.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from opsin.data.ingest.thumbnail_hash import HEIGHT, WIDTH, mirrored

MAX_HAMMING_DISTANCE = 7
MIN_CORRELATION = 0.985
"""Correlation of two thumbnails from which their images count as near-duplicates.

Of copies of photographs of clothes that were saved with quality 10, scaled to a quarter of the size, or given 20% more
contrast or brightness, 97 to 100% are found. None of the 7 million pairs of 3,781 different photographs is mistaken
for a near-duplicate; their highest correlation is 0.979. Most cropped or mirrored copies are not found."""

MIN_CONTRAST = 4.0
"""Standard deviation of a thumbnail, in grey levels, below which it is too uniform to be compared."""

MIN_COMPARED_SIDE = 32
"""Pixels of the shorter side below which images are not compared: many handwritten digits look the same."""

MAX_COLOUR_DIFFERENCE = 12.0
"""Largest difference of the mean colours in any channel, in levels, that saving and brightening explain."""

MAX_PAIRS = 2**30
"""Limit of the pairs of hashes to compare, which takes about half a minute."""

PAIR_BLOCK = 2**14
"""The number of pairs of thumbnails per block of comparisons."""


class DisjointSets:
    """Disjoint sets of the numbers 0 … count - 1 (union-find with path halving)."""

    def __init__(self, count: int) -> None:
        self.parent = list(range(count))

    def find(self, number: int) -> int:
        while self.parent[number] != number:
            self.parent[number] = self.parent[self.parent[number]]
            number = self.parent[number]
        return number

    def join(self, first: int, second: int) -> None:
        """Merge two sets; the smallest number represents a set."""
        low, high = sorted((self.find(first), self.find(second)))
        self.parent[high] = low

    def array(self) -> NDArray[np.intp]:
        """Return the representative of each number's set."""
        return np.array([self.find(number) for number in range(len(self.parent))], np.intp)


def exact_duplicates(digests: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Return for each of N digests (N×B bytes) the index of the first equal one."""
    keys = np.ascontiguousarray(digests).view(f"V{digests.shape[1]}").reshape(-1)
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    result: NDArray[np.intp] = first[inverse.reshape(-1)]
    return result


def near_duplicates(
    exact: NDArray[np.intp], thumbnail_hashes: NDArray[np.uint8], sizes: NDArray[np.int32], mirrors: bool = False
) -> NDArray[np.intp] | None:
    """Return for each image the index of the first of its near-duplicates, or None if there are too many candidates.

    `exact` is the result of `exact_duplicates`, `thumbnail_hashes` are N×`HASH_BYTES` bytes, and `sizes` heights and
    widths (N×2). With `mirrors`, mirror images count as well.
    """
    groups = DisjointSets(len(exact))
    for number, first in enumerate(exact.tolist()):
        groups.join(number, first)
    compared = np.flatnonzero(
        (exact == np.arange(len(exact))) & (sizes.min(axis=1, initial=2**30) >= MIN_COMPARED_SIDE)
    )
    hashes = thumbnail_hashes[compared]
    if mirrors:
        compared, hashes = np.tile(compared, 2), np.concatenate([hashes, mirrored(hashes)])
    thumbnails = Thumbnails(hashes)
    textured = np.flatnonzero(thumbnails.deviation >= MIN_CONTRAST)
    pairs = candidates(thumbnails.hashes()[textured])
    if pairs is None:
        return None
    for first, second in pairs:
        for block in range(0, len(first), PAIR_BLOCK):
            one, other = textured[first[block : block + PAIR_BLOCK]], textured[second[block : block + PAIR_BLOCK]]
            match = thumbnails.match(one, other)
            for pair in zip(compared[one[match]].tolist(), compared[other[match]].tolist(), strict=True):
                groups.join(*pair)
    return groups.array()


class Thumbnails:
    """Thumbnails (hashes N×`HASH_BYTES`) and their pairwise comparison."""

    def __init__(self, thumbnail_hashes: NDArray[np.uint8]) -> None:
        self.thumbnails, self.colours = (
            thumbnail_hashes[:, : HEIGHT * WIDTH],
            thumbnail_hashes[:, HEIGHT * WIDTH :].astype(np.float32),
        )
        self.mean = self.thumbnails.mean(axis=1, dtype=np.float32)
        squares = np.einsum("ij,ij->i", self.thumbnails, self.thumbnails, dtype=np.float32) / (HEIGHT * WIDTH)
        self.deviation = np.sqrt(np.maximum(squares - self.mean**2, 0))

    def hashes(self) -> NDArray[np.uint64]:
        """Return the difference hash of each thumbnail: 8 rows of 9 cells give 64 bits."""
        cells = self.thumbnails.reshape(-1, 8, HEIGHT // 8, 9, WIDTH // 9).sum(axis=(2, 4), dtype=np.int32)
        bits = (cells[:, :, 1:] > cells[:, :, :-1]).reshape(-1, 64)
        return np.packbits(bits, axis=1).view(np.uint64).reshape(-1)

    def match(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return whether pairs of thumbnails correlate and have the same colour."""
        is_similar: NDArray[np.bool_] = self.correlation(first, second) >= MIN_CORRELATION
        return is_similar & _same_colour(self.colours[first], self.colours[second])

    def correlation(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the correlation of pairs of thumbnails, which must not be uniform."""
        one, other = (self.thumbnails[which] - self.mean[which, None] for which in (first, second))
        products = np.einsum("ij,ij->i", one, other) / (HEIGHT * WIDTH)
        correlation: NDArray[np.float32] = products / (self.deviation[first] * self.deviation[second])
        return correlation


def _same_colour(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return whether mean colours (N×3) differ equally from grey, or one image has lost its colour."""
    one, other = (colour - colour.mean(axis=1, keepdims=True) for colour in (first, second))
    is_close: NDArray[np.bool_] = np.abs(one - other).max(axis=1) <= MAX_COLOUR_DIFFERENCE
    grey: NDArray[np.bool_] = np.minimum(np.abs(one).max(axis=1), np.abs(other).max(axis=1)) < 1
    return is_close | grey


def candidates(values: NDArray[np.uint64]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]] | None:
    """Yield pairs (first < second) of hashes within `MAX_HAMMING_DISTANCE`, some of them repeatedly.

    Return None if there are more than `MAX_PAIRS` pairs.
    """
    masks = np.array([0] + [1 << bit for bit in range(16)], np.uint16)
    lookups, pairs = [], 0
    for quarter in range(4):
        keys = (values >> np.uint64(16 * quarter)).astype(np.uint16)
        order = np.argsort(keys, kind="stable")
        starts = np.searchsorted(keys[order], np.arange(2**16 + 1))
        lookups += [(order, starts, keys ^ mask) for mask in masks]
        pairs += sum(int((starts[1:] - starts[:-1])[keys ^ mask].sum()) for mask in masks)
    return _near_pairs(values, lookups) if pairs <= MAX_PAIRS else None


def _near_pairs(
    values: NDArray[np.uint64], lookups: list[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.uint16]]]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    for order, starts, keys in lookups:
        begin = starts[keys]
        for first, positions in _expand(begin, starts[keys.astype(np.intp) + 1] - begin):
            second = order[positions]
            is_close = (first < second) & (popcount(values[first] ^ values[second]) <= MAX_HAMMING_DISTANCE)
            yield first[is_close], second[is_close]


def _expand(begin: NDArray[np.intp], count: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield pairs of i, repeated `count[i]` times, and begin[i], begin[i] + 1, …; about 262,144 at a time."""
    ends = np.cumsum(count)
    blocks = np.searchsorted(ends, np.arange(0, count.sum(), 2**18), side="right")
    for low, high in zip(blocks, [*blocks[1:], len(begin)], strict=False):
        repetitions = count[low:high]
        first = np.repeat(np.arange(low, high), repetitions)
        offsets = np.arange(int(repetitions.sum())) - np.repeat(np.cumsum(repetitions) - repetitions, repetitions)
        yield first, np.repeat(begin[low:high], repetitions) + offsets


def popcount(words: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return the number of set bits of each word."""
    counts = BITS_OF_BYTE[np.ascontiguousarray(words).view(np.uint8).reshape(-1, 8)]
    total: NDArray[np.uint8] = counts.sum(axis=1, dtype=np.uint8)
    return total


BITS_OF_BYTE = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1).astype(np.uint8)
