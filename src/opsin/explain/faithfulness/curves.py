"""Insertion and deletion: the confidence while the most important pixels are added, or removed, first.

Petsiuk, Das & Saenko, "RISE: randomized input sampling for explanation of black-box models", BMVC 2018. Protocol: in
each of `STEPS` steps as many pixels are changed, in all channels at once; both ends count. Deletion replaces pixels by
the mean colour of the training images, insertion restores them in a blurred image. The figure is the area under the
curve (trapezoidal rule) over the share of changed pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.explain.faithfulness.ranking import Ranks

Inputs = NDArray[np.float32]
Floats = NDArray[np.float64]

STEPS = 10


@dataclass(frozen=True, eq=False)
class Curve:
    """Confidences at the `shares` of changed pixels, from 0 to 1."""

    shares: Floats
    confidences: Floats

    @property
    def area(self) -> float:
        """The area under the curve, from 0 to 1."""
        heights = (self.confidences[1:] + self.confidences[:-1]) / 2
        return float(np.diff(self.shares) @ heights)


def counts(pixels: int) -> NDArray[np.intp]:
    """Return how many pixels are changed before the first step and after each step."""
    size = -(-pixels // STEPS)
    steps = np.minimum(np.arange(0, STEPS + 1) * size, pixels)
    return np.asarray(steps[: int(np.argmax(steps)) + 1])


def between(before: Inputs, after: Inputs, ranks: Ranks) -> Inputs:
    """Return the images between two, C × H × W, as pixels change in the order of their ranks; without both ends."""
    changed = ranks < counts(ranks.size)[1:-1, None, None]
    return np.where(changed[:, None], after, before)
