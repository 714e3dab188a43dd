"""The targets of images with several labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.tasks.task import Mixture


@dataclass(frozen=True, eq=False)
class LabelSets:
    """`matrix` is uint8 N × labels: 1 if the label is true of the image."""

    matrix: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.matrix)

    @classmethod
    def of(cls, sets: Sequence[Sequence[str]], labels: Sequence[str]) -> LabelSets:
        """Return the sets of labels of images. Raise `KeyError` for one that is not among `labels`."""
        matrix = np.zeros((len(sets), len(labels)), np.uint8)
        numbers = {label: number for number, label in enumerate(labels)}
        for row, names in zip(matrix, sets, strict=True):
            row[[numbers[name] for name in names]] = 1
        return cls(matrix)

    def take(self, indices: NDArray[np.intp]) -> LabelSets:
        """Return the labels of the images with these indices."""
        return LabelSets(self.matrix[indices])

    @classmethod
    def concatenate(cls, parts: Sequence[LabelSets]) -> LabelSets:
        """Return the labels of several sets of images as one."""
        return cls(np.concatenate([part.matrix for part in parts]))

    def strata(self) -> NDArray[np.int32]:
        """Return the number of the rarest label of each image, from 1; 0 for images without a label."""
        frequency = self.matrix.sum(axis=0, dtype=np.int64)
        order = np.argsort(frequency, kind="stable")
        ranked = self.matrix[:, order] > 0
        rarest = np.asarray(order[ranked.argmax(axis=1)] + 1, np.int32)
        return np.where(ranked.any(axis=1), rarest, np.int32(0))

    def counts(self, labels: int) -> list[int]:
        """Return the number of images that have each label."""
        return [int(count) for count in self.matrix.sum(axis=0, dtype=np.int64)]

    def content(self) -> bytes:
        """Return the bytes of the matrix."""
        return self.matrix.tobytes()

    def encode(self, mixture: Mixture | None) -> NDArray[np.float32]:
        """Return the labels as numbers, float32 N × labels; those of mixed images are shares."""
        values = self.matrix.astype(np.float32)
        if mixture is None:
            return values
        mixed = np.empty_like(values)
        for start in range(0, len(values), mixture.batch):
            rows = slice(start, start + mixture.batch)
            remaining = mixture.remaining[rows, None].astype(np.float32)
            mixed[rows] = values[rows] * remaining + np.roll(values[rows], -1, axis=0) * (1 - remaining)
        return mixed
