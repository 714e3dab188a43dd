"""The targets of regression: numbers for each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STRATA = 10
"""Groups of images with similar numbers, of which each split gets the same share."""


@dataclass(frozen=True, eq=False)
class Quantities:
    """`values` are float64 N × quantities, in their own units."""

    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, indices: NDArray[np.intp]) -> Quantities:
        """Return the numbers of the images with these indices."""
        return Quantities(self.values[indices])

    @classmethod
    def concatenate(cls, parts: Sequence[Quantities]) -> Quantities:
        """Return the numbers of several sets of images as one."""
        return cls(np.concatenate([part.values for part in parts]))

    def strata(self) -> NDArray[np.int32]:
        """Return the tenth of the images to which each belongs, ordered by the first quantity."""
        ranks = np.argsort(np.argsort(self.values[:, 0], kind="stable"), kind="stable")
        return np.asarray(ranks * STRATA // max(1, len(ranks)), np.int32)

    def counts(self, labels: int) -> list[int]:
        """Return nothing: images have no labels."""
        return []

    def content(self) -> bytes:
        """Return the bytes of the numbers."""
        return np.ascontiguousarray(self.values).tobytes()
