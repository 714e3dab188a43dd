"""The targets of transcription: a sequence of labels for each recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

END = -1
"""What fills the rows of shorter sequences."""


@dataclass(frozen=True, eq=False)
class Sequences:
    """`matrix` is int32 N × the longest length: labels from 1 on, and `END` after the last one."""

    matrix: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.matrix)

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]]) -> Sequences:
        """Return sequences of labels of any lengths."""
        return cls(padded(sequences, max(1, *map(len, sequences), 1)))

    @property
    def lengths(self) -> NDArray[np.intp]:
        """The number of labels of each sequence."""
        return np.asarray((self.matrix != END).sum(axis=1), np.intp)

    def rows(self) -> list[tuple[int, ...]]:
        """Return the labels of each sequence."""
        return [tuple(row[:length].tolist()) for row, length in zip(self.matrix, self.lengths, strict=True)]

    @property
    def least_frames(self) -> NDArray[np.intp]:
        """The frames that each sequence takes: one for a label, and one between equal neighbours."""
        repeats = (self.matrix[:, 1:] == self.matrix[:, :-1]) & (self.matrix[:, 1:] != END)
        return np.asarray(self.lengths + repeats.sum(axis=1), np.intp)

    def take(self, indices: NDArray[np.intp]) -> Sequences:
        """Return the sequences of the recordings with these indices."""
        return Sequences(self.matrix[indices])

    @classmethod
    def concatenate(cls, parts: Sequence[Sequences]) -> Sequences:
        """Return the sequences of several sets of recordings as one."""
        return cls.of([row for part in parts for row in part.rows()])

    def strata(self) -> NDArray[np.int32]:
        """Return the number of labels: each split gets its share of short and of long sequences."""
        return self.lengths.astype(np.int32)

    def counts(self, labels: int) -> list[int]:
        """Return the number of recordings in which each label occurs."""
        return [int((self.matrix == label).any(axis=1).sum()) for label in range(1, labels + 1)]

    def content(self) -> bytes:
        """Return the labels as bytes."""
        return str(self.rows()).encode()


def padded(sequences: Sequence[Sequence[int]], length: int) -> NDArray[np.int32]:
    """Return sequences as int32 N × `length`, with `END` after the last label; longer ones are cut."""
    matrix = np.full((len(sequences), length), END, np.int32)
    for row, labels in zip(matrix, sequences, strict=True):
        row[: min(length, len(labels))] = labels[:length]
    return matrix
