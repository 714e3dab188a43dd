"""Mixup and CutMix: blend the images of a batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]


def mix(pixels: Pixels, shares: NDArray[np.float64], boxes: NDArray[np.int32]) -> NDArray[np.float64]:
    """Mix each image of a batch (float32 N×C×H×W) with the next one in place, the last one with the first.

    Image i becomes shares[i] · i + (1 - shares[i]) · next; its box (top, bottom, left, right) is copied from the next
    one. Return the share that remains of each image.
    """
    first = pixels[0].copy()
    height, width = pixels.shape[2:]
    remaining = shares.copy()
    for i, image in enumerate(pixels):
        following = pixels[i + 1] if i + 1 < len(pixels) else first
        if shares[i] < 1:
            share = np.float32(shares[i])
            image *= share
            image += (1 - share) * following
        top, bottom, left, right = boxes[i]
        if top < bottom and left < right:
            image[:, top:bottom, left:right] = following[:, top:bottom, left:right]
            remaining[i] = 1 - (bottom - top) * (right - left) / (height * width)
    return remaining
