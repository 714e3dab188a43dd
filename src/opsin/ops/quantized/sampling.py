"""Random 8-bit integers for the sample cases of operations."""

from __future__ import annotations

import numpy as np

from opsin.ops.quantized.fixed_point import HIGH, LOW
from opsin.ops.registry import Array
from opsin.ops.sampling import between, flip


def random_int8(rng: np.random.Generator, shape: tuple[int, ...], low: int = LOW) -> Array:
    """Return numbers from `low` to 127, the bounds more often than others."""
    values = rng.integers(low, HIGH, shape, endpoint=True)
    bounds = np.where(rng.random(shape) < 0.5, low, HIGH)
    return np.where(rng.random(shape) < 0.2, bounds, values).astype(np.int8)


def random_bounds(rng: np.random.Generator) -> dict[str, int]:
    """Return `zero`, `low` and `high` of a result: the whole range, or that of a ReLU."""
    zero = between(rng, LOW, HIGH)
    return {"zero": zero, "low": zero if flip(rng) else LOW, "high": between(rng, zero, HIGH) if flip(rng) else HIGH}
