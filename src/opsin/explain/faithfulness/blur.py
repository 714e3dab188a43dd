"""Blurred images, from which insertion starts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLUR = 1 / 16
"""The standard deviation of the blur, as a share of the image's side: 14 of 224 pixels."""


def blurred(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an image, C × H × W, after a Gaussian blur. Weights outside of the image are given to those inside."""
    _, height, width = image.shape
    return np.asarray(_kernel(height) @ image.astype(np.float64) @ _kernel(width).T, np.float32)


def _kernel(side: int) -> NDArray[np.float64]:
    places = np.arange(side)
    weights = np.exp(-0.5 * ((places[:, None] - places) / (BLUR * side)) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
