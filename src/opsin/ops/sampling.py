"""Random shapes and values for the sample cases of operations.

Sizes lie on both sides of the vector widths of real machines (8 and 16 numbers). Arguments of functions with kinks keep
a distance from each other and from zero, so that central differences stay on one side and float32 orders them as
float64 does.
"""

from __future__ import annotations

from math import prod

import numpy as np

from opsin.ops.registry import Array

SIZES = (1, 2, 3, 5, 7, 8, 9, 13, 16, 17, 33)
CHANNELS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17, 20, 24, 25, 31, 32, 33, 40)
MAX_ELEMENTS = 3000
"""The approximate maximum number of elements of a sample tensor."""


def pick(rng: np.random.Generator, values: tuple[int, ...]) -> int:
    return values[int(rng.integers(len(values)))]


def flip(rng: np.random.Generator, chance: float = 0.5) -> bool:
    return bool(rng.random() < chance)


def between(rng: np.random.Generator, low: int, high: int) -> int:
    """Return a whole number from `low` to `high`, both included."""
    return int(rng.integers(low, high + 1))


def shape(rng: np.random.Generator, low: int = 0, high: int = 4) -> tuple[int, ...]:
    """Return a shape of `low` to `high` axes with odd sizes."""
    sizes = [pick(rng, SIZES) for _ in range(between(rng, low, high))]
    while prod(sizes) > MAX_ELEMENTS:
        largest_axis = sizes.index(max(sizes))
        sizes[largest_axis] = (sizes[largest_axis] + 1) // 2
    return tuple(sizes)


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.asarray(rng.standard_normal(shape))


def distinct(rng: np.random.Generator, shape: tuple[int, ...], low: float = -2.0, high: float = 2.0) -> Array:
    """Return numbers in (low, high), evenly spaced and shuffled: all different, and none of them zero."""
    count = prod(shape)
    step = (high - low) / count
    return (low + (rng.permutation(count) + 0.37) * step).reshape(shape)


def whole(rng: np.random.Generator, shape: tuple[int, ...], low: int, high: int) -> Array:
    """Return whole numbers from `low` to `high - 1`, as int32."""
    return np.asarray(rng.integers(low, high, shape), dtype=np.int32)
