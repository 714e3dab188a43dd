"""A face that was found in an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LANDMARKS = ("left eye", "right eye", "nose", "left corner of the mouth", "right corner of the mouth")
"""The landmarks in their order; left and right are those of the image."""


@dataclass(frozen=True, eq=False)
class Face:
    """A face: its `box` (left, top, right, bottom) and `landmarks`, 5 × (x, y), in pixels from the upper left corner.

    `score` is the detector's confidence, 0 to 1.
    """

    box: tuple[float, float, float, float]
    landmarks: NDArray[np.float64]
    score: float

    @property
    def height(self) -> float:
        """The height of the box in pixels."""
        return self.box[3] - self.box[1]

    def to_data(self) -> dict[str, Any]:
        """Return it for JSON."""
        points = dict(zip(LANDMARKS, self.landmarks.round(1).tolist(), strict=True))
        return {"box": [round(value, 1) for value in self.box], "score": round(self.score, 4), "landmarks": points}

    def __str__(self) -> str:
        left, top, right, bottom = (round(value) for value in self.box)
        return f"face at {left}, {top} to {right}, {bottom}"
