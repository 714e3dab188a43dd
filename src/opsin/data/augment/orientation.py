"""Find out whether images have a natural orientation, as photographs of a street have and those of a microscope do not.

If a linear classifier cannot tell images from the same images upside down or on their side, in images that it was not
fitted to, turned images are as likely as those that were taken. The features are brightness and colours on a coarse
grid: a sky, a floor, or an object in the middle that stands upright show there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opsin.data.pixels import Pixels

SAMPLE = 512
"""Images that are examined, evenly spread over all of them."""

MIN_IMAGES = 64
"""With fewer images, nothing can be said, and they count as oriented."""

MAX_SHARE = 0.6
"""The share of recognised images above which they have an orientation; without one, half are recognised by chance."""

TINY = 1e-9

GRID = 8
"""Rows and columns of the grid."""

RIDGE = 0.25
"""The regularisation of the classifier, as a share of the mean square of an image's features."""


def has_orientation(pixels: Pixels) -> bool:
    """Return whether images uint8 N × C × H × W differ from the same images upside down or turned by 90°.

    Too few images count as different.
    """
    if len(pixels) < MIN_IMAGES:
        return True
    features = _features(pixels)
    others = features[:, :, ::-1], features.swapaxes(2, 3)
    return any(_recognised(features - other) > MAX_SHARE for other in others)


def _features(pixels: Pixels) -> NDArray[np.float64]:
    """Return the mean values of `GRID` × `GRID` cells, N × C × rows × columns, standardised for each image."""
    count, channels, height, width = pixels.shape
    indices = np.unique(np.linspace(0, count - 1, min(SAMPLE, count)).astype(np.intp))
    rows, columns = (np.arange(GRID) * side // GRID for side in (height, width))
    features = np.empty((len(indices), channels, GRID, GRID))
    for feature, index in zip(features, indices, strict=True):
        sums = np.add.reduceat(np.add.reduceat(pixels[index].astype(np.float64), rows, 1), columns, 2)
        feature[:] = sums - sums.mean()
    scale = np.sqrt(np.square(features).mean((1, 2, 3), keepdims=True))
    result: NDArray[np.float64] = features / np.maximum(scale, TINY)
    return result


def _recognised(differences: NDArray[np.float64]) -> float:
    """Return the share of the images that a classifier, fitted to the other half of them, tells from the turned ones.

    `differences` are the features of the images minus those of the turned ones.
    """
    rows = differences.reshape(len(differences), -1)
    correct = sum(float((rows[half::2] @ _direction(rows[1 - half :: 2]) > 0).sum()) for half in range(2))
    return correct / len(rows)


def _direction(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weights of a ridge regression that gives 1 for all `rows`, and so -1 for the turned images."""
    kernel = rows @ rows.T
    kernel[np.diag_indices(len(rows))] += max(RIDGE * float(np.trace(kernel)) / len(rows), TINY)
    direction: NDArray[np.float64] = rows.T @ np.linalg.solve(kernel, np.ones(len(rows)))
    return direction
