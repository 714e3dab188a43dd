"""The errors of a sequence: the fewest words to replace, to delete and to insert (Levenshtein 1966)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Edits:
    """How an answer differs from the truth: pairs (true, answered) of replaced labels, missing and additional ones."""

    substitutions: tuple[tuple[int, int], ...]
    deletions: tuple[int, ...]
    insertions: tuple[int, ...]

    @property
    def count(self) -> int:
        return len(self.substitutions) + len(self.deletions) + len(self.insertions)


def edits(truth: Sequence[int], answer: Sequence[int]) -> Edits:
    """Return the fewest edits between truth and answer; of several ways one with as many substitutions as possible."""
    costs = np.zeros((len(truth) + 1, len(answer) + 1), np.int64)
    costs[:, 0], costs[0] = np.arange(len(truth) + 1), np.arange(len(answer) + 1)
    for i, true in enumerate(truth, start=1):
        for j, label in enumerate(answer, start=1):
            costs[i, j] = min(costs[i - 1, j - 1] + (true != label), costs[i - 1, j] + 1, costs[i, j - 1] + 1)
    substitutions, deletions, insertions = list[tuple[int, int]](), list[int](), list[int]()
    i, j = len(truth), len(answer)
    while i or j:
        if i and j and costs[i, j] == costs[i - 1, j - 1] + (truth[i - 1] != answer[j - 1]):
            i, j = i - 1, j - 1
            if truth[i] != answer[j]:
                substitutions.append((truth[i], answer[j]))
        elif i and costs[i, j] == costs[i - 1, j] + 1:
            i -= 1
            deletions.append(truth[i])
        else:
            j -= 1
            insertions.append(answer[j])
    return Edits(tuple(substitutions[::-1]), tuple(deletions[::-1]), tuple(insertions[::-1]))
