"""Images mixed with the next one of their batch, and the shares of classes that they then show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]


def mix(pixels: Pixels, shares: NDArray[np.float64], boxes: NDArray[np.int32]) -> NDArray[np.float64]:
    """Mixes a batch in place, float32 N×C×H×W, each with the next, the last with the first; the shares left of each.

    Image i becomes shares[i] · i + (1 - shares[i]) · next; its box (top, bottom, left, right) becomes the next one's.
    """
    first = pixels[0].copy()
    height, width = pixels.shape[2:]
    left = shares.copy()
    for i, image in enumerate(pixels):
        other = pixels[i + 1] if i + 1 < len(pixels) else first
        if shares[i] < 1:
            share = np.float32(shares[i])
            image *= share
            image += (1 - share) * other
        top, bottom, start, stop = boxes[i]
        if top < bottom and start < stop:
            image[:, top:bottom, start:stop] = other[:, top:bottom, start:stop]
            left[i] = 1 - (bottom - top) * (stop - start) / (height * width)
    return left


def targets(labels: NDArray[np.int32], left: NDArray[np.float64], classes: int) -> NDArray[np.float32]:
    """Shares of classes, float32 N × classes, of a batch that `mix` left so much of each of."""
    found = np.zeros((len(labels), classes), np.float32)
    places = np.arange(len(labels))
    np.add.at(found, (places, labels), left)
    np.add.at(found, (places, np.roll(labels, -1)), 1 - left)
    return found
