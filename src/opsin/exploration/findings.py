"""What was found in a folder of images, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.formatting import counted
from opsin.exploration.duplicates import CopySet
from opsin.exploration.folder import ImageFolder
from opsin.exploration.groups import Group


@dataclass(frozen=True, eq=False)
class Findings:
    """What was found in a folder of N images.

    `groups` are the largest first; `choice` says how their number was chosen. `copies` are sets of near-duplicates, or
    None if too many images look alike. `outliers` are the numbers of images that are far from all others, the farthest
    first, and `scores` the modified z-scores of all images.
    """

    images: ImageFolder = field(repr=False)
    groups: tuple[Group, ...]
    choice: str
    copies: tuple[CopySet, ...] | None
    outliers: tuple[int, ...]
    scores: NDArray[np.float64] = field(repr=False)
    progress: Callable[[str], None] = field(default=lambda text: None, repr=False)

    def __str__(self) -> str:
        copies = [] if self.copies is None else [counted(self.copy_count, "near-duplicate")]
        parts = [*copies, counted(len(self.outliers), "outlier")]
        images, groups = counted(len(self.images), "image"), counted(len(self.groups), "group")
        return f"{self.images.folder}: {', '.join([f'{images} in {groups}', *parts])}"

    @property
    def labels(self) -> NDArray[np.intp]:
        """The number of each image's group."""
        labels = np.zeros(len(self.images), np.intp)
        for number, group in enumerate(self.groups):
            labels[list(group.members)] = number
        return labels

    @property
    def copy_count(self) -> int:
        """The number of images that are copies of another one."""
        return sum(len(each.copies) for each in self.copies or ())

    def to_data(self) -> dict[str, Any]:
        """Return everything for JSON; images are named by their paths in the folder."""
        names = self.images.names
        return {
            "folder": str(self.images.folder),
            "images": len(names),
            "choice": self.choice,
            "groups": [
                {"name": group.name, "similarity": group.similarity, "images": [names[n] for n in group.members]}
                for group in self.groups
            ],
            "near_duplicates": None if self.copies is None else [each.to_data(names) for each in self.copies],
            "outliers": [{"name": names[n], "score": float(self.scores[n])} for n in self.outliers],
            "left_out": [{"name": problem.name, "reason": problem.reason} for problem in self.images.problems],
        }
