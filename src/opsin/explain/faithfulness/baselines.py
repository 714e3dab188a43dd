"""Baselines: maps that do not depend on the network, which an explanation has to beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter
from opsin.explain.attribution.display import enlarged

Floats = NDArray[np.float64]

PLACES = 7
"""Rows and columns of a random map before it is enlarged: those of the last layer of most networks."""
SPREAD = 0.25
"""The standard deviation of the centred Gaussian, as a share of the image's side."""


def random_map(size: tuple[int, int], seed: int) -> Floats:
    """Return a random map, height × width, as smooth as those of a last layer."""
    values = random_counter.uniform(PLACES**2, seed, random_counter.EXPLAIN).reshape(PLACES, PLACES)
    return _to_unit(enlarged(values, size))


def centred_gaussian(size: tuple[int, int]) -> Floats:
    """Return a Gaussian in the centre: photographers centre their subject."""
    rows, columns = (np.exp(-0.5 * (((np.arange(side) + 0.5) / side - 0.5) / SPREAD) ** 2) for side in size)
    return _to_unit(rows[:, None] * columns)


def edges(image: NDArray[np.float32]) -> Floats:
    """Return the strength of edges of an image, C × H × W, by Sobel's operator on the mean of its channels."""
    grey = np.pad(image.mean(axis=0, dtype=np.float64), 1, mode="edge")
    rows = grey[:-2] + 2 * grey[1:-1] + grey[2:]
    columns = grey[:, :-2] + 2 * grey[:, 1:-1] + grey[:, 2:]
    return _to_unit(np.hypot(rows[:, 2:] - rows[:, :-2], columns[2:] - columns[:-2]))


def _to_unit(values: Floats) -> Floats:
    span = np.ptp(values)
    return np.asarray((values - values.min()) / span) if span > 0 else np.zeros_like(values)
