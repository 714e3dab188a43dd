"""Random numbers that are a function of (seed, purpose, epoch) alone, whatever was drawn before.

Philox (Salmon et al., 2011) is a counter-based generator: the key is the seed, the counter holds
what the numbers are for. Only its raw 64-bit words are used, since NumPy keeps those the same in
every release, and its distributions not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SPLIT, SHUFFLE, AUGMENT, SIDES, GOLDEN, TRIAL = 0, 1, 2, 3, 4, 5
"""What the numbers are for; two purposes never share numbers."""

PER_COUNT = 4
"""Words that Philox makes of each value of its counter."""


def words(count: int, seed: int, purpose: int, epoch: int = 0, first: int = 0) -> NDArray[np.uint64]:
    """`count` random 64-bit words: those from number `first`, a multiple of `PER_COUNT`, of an endless row."""
    generator = np.random.Philox(key=[seed % 2**64, 0], counter=[first // PER_COUNT, 0, epoch, purpose])
    return np.asarray(generator.random_raw(count), np.uint64)


def uniform(count: int, seed: int, purpose: int, epoch: int = 0, first: int = 0) -> NDArray[np.float64]:
    """`count` numbers in [-1, 1), each made of one of the `words`."""
    return (words(count, seed, purpose, epoch, first) >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0


def order(count: int, seed: int, purpose: int, epoch: int = 0) -> NDArray[np.intp]:
    """A random order of 0 … count - 1."""
    return np.argsort(words(count, seed, purpose, epoch), kind="stable")
