"""Features as other roundings could have made them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter

Floats = NDArray[np.float64]

ERROR = 2.0**-20
"""The error of a float32 feature or gradient, relative to the largest of its channel: that of a deep network, which is
eight times the rounding of one number (`bench/cam_agreement.py`)."""
DRAWS = 2
SEED = 11


def disturbed(values: Floats, gradients: Floats) -> list[tuple[Floats, Floats]]:
    """Return values and gradients of a layer, N × C × rows × columns, with errors: `DRAWS` times."""
    return [(_disturbed(values, 2 * draw), _disturbed(gradients, 2 * draw + 1)) for draw in range(DRAWS)]


def _disturbed(x: Floats, purpose: int) -> Floats:
    """Return `x` with errors; zeros stay, because a ReLU makes them exact."""
    noise = random_counter.uniform(x.size, SEED, purpose).reshape(x.shape)
    with np.errstate(invalid="ignore", over="ignore"):
        errors = ERROR * noise * np.abs(x).max(axis=(2, 3), keepdims=True)
        return np.asarray(np.where(x == 0, 0.0, x + errors))
