"""Random numbers that depend only on seed, purpose and epoch, not on what was drawn before.

Philox (Salmon et al. 2011) is a counter-based generator: the key is the seed, the counter contains the purpose. Only
its raw 64-bit words are used, because NumPy guarantees those across releases, but not its distributions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SPLIT, SHUFFLE, AUGMENT, SIDES, GOLDEN, TRIAL, EXPLAIN = 0, 1, 2, 3, 4, 5, 6
"""The purposes of the numbers; two purposes never share numbers."""

WORDS_PER_COUNT = 4
"""Words that Philox generates from each value of its counter."""


def words(count: int, seed: int, purpose: int, epoch: int = 0, first: int = 0) -> NDArray[np.uint64]:
    """Return `count` 64-bit words of an endless sequence, from number `first`, a multiple of `WORDS_PER_COUNT`."""
    generator = np.random.Philox(key=[seed % 2**64, 0], counter=[first // WORDS_PER_COUNT, 0, epoch, purpose])
    return np.asarray(generator.random_raw(count), np.uint64)


def uniform(count: int, seed: int, purpose: int, epoch: int = 0, first: int = 0) -> NDArray[np.float64]:
    """Return `count` numbers in [-1, 1), each computed from one of the `words`."""
    return (words(count, seed, purpose, epoch, first) >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0


def order(count: int, seed: int, purpose: int, epoch: int = 0) -> NDArray[np.intp]:
    """Return a random permutation of 0 … count - 1."""
    return np.argsort(words(count, seed, purpose, epoch), kind="stable")
