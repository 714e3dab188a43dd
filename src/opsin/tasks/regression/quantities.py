"""The targets of regression: numbers for each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STRATA = 10
"""Groups of images with similar numbers, of which each split gets the same share."""

MIN_STRATUM = 10
"""The least images in a group."""

UNORDERED = -1
"""The position of an image that is not one of a series."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The numbers of one image, and its `position` in the order of time; `UNORDERED` without one."""

    values: tuple[float, ...]
    position: int = UNORDERED


@dataclass(frozen=True, eq=False)
class Quantities:
    """`values` are float64 N × quantities, in their own units.

    `positions` are int64 N: the places of frames in the order of time, or `UNORDERED`; None if no image has one.
    """

    values: NDArray[np.float64]
    positions: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def of(cls, readings: Sequence[Reading], quantities: int) -> Quantities:
        """Return the numbers of images, `quantities` each."""
        values = np.array([reading.values for reading in readings], np.float64).reshape(len(readings), quantities)
        positions = np.array([reading.position for reading in readings], np.int64)
        return cls(values, positions if (positions != UNORDERED).any() else None)

    def take(self, indices: NDArray[np.intp]) -> Quantities:
        """Return the numbers of the images with these indices."""
        return Quantities(self.values[indices], None if self.positions is None else self.positions[indices])

    @classmethod
    def concatenate(cls, parts: Sequence[Quantities]) -> Quantities:
        """Return the numbers of several sets of images as one."""
        values = np.concatenate([part.values for part in parts])
        if all(part.positions is None for part in parts):
            return cls(values)
        return cls(values, np.concatenate([part.places for part in parts]))

    @property
    def places(self) -> NDArray[np.int64]:
        """The positions, also if no image has one."""
        return np.full(len(self), UNORDERED, np.int64) if self.positions is None else self.positions

    def strata(self) -> NDArray[np.int32]:
        """Return the tenth of the images to which each belongs, ordered by the first quantity.

        Fewer images are in fewer groups, of which each still has a share to hold out.
        """
        groups = max(1, min(STRATA, len(self) // MIN_STRATUM))
        ranks = np.argsort(np.argsort(self.values[:, 0], kind="stable"), kind="stable")
        return np.asarray(ranks * groups // max(1, len(ranks)), np.int32)

    def counts(self, labels: int) -> list[int]:
        """Return nothing: images have no labels."""
        return []

    def content(self) -> bytes:
        """Return the bytes of the numbers."""
        return np.ascontiguousarray(self.values).tobytes()
