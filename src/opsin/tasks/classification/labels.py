"""The targets of classification: one class for each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ClassLabels:
    """`numbers` are the class numbers of N images, int32."""

    numbers: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, indices: NDArray[np.intp]) -> ClassLabels:
        """Return the labels of the images with these indices."""
        return ClassLabels(self.numbers[indices])

    @classmethod
    def concatenate(cls, parts: Sequence[ClassLabels]) -> ClassLabels:
        """Return the labels of several sets of images as one."""
        return cls(np.concatenate([part.numbers for part in parts]))

    def strata(self) -> NDArray[np.int32]:
        """Return the class numbers: each split gets the same share of every class."""
        return self.numbers

    def counts(self, labels: int) -> list[int]:
        """Return the number of images of each class."""
        return [int(count) for count in np.bincount(self.numbers, minlength=labels)]

    def content(self) -> bytes:
        """Return the bytes of the class numbers."""
        return self.numbers.tobytes()
