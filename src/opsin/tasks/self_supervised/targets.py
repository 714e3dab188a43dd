"""The targets of images without labels: nothing to learn from, and the folders that they lie in, to measure with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_FOLDER_IMAGES = 10
"""Folders with at least so many images on average are divided: every split gets some of each."""


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """The folder of each of N images: `folders`, int32, which count in all `names` of the data.

    Nothing is trained on them. If folders are classes, they tell how well features separate these.
    """

    folders: NDArray[np.int32]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.folders)

    def take(self, indices: NDArray[np.intp]) -> Unlabelled:
        """Return the folders of the images with these indices."""
        return Unlabelled(self.folders[indices], self.names)

    @classmethod
    def concatenate(cls, parts: Sequence[Unlabelled]) -> Unlabelled:
        """Return the folders of several sets of images of the same data as one."""
        return cls(np.concatenate([part.folders for part in parts]), parts[0].names)

    def strata(self) -> NDArray[np.int32]:
        """Return the folders, of which each split gets the same share; 0 if they hold few images, which would be spread
        over the splits one by one.
        """
        is_fine = len(self) < MIN_FOLDER_IMAGES * len(np.unique(self.folders))
        return np.zeros_like(self.folders) if is_fine else self.folders

    def counts(self, labels: int) -> list[int]:
        """Return nothing: folders are not labels."""
        return []

    def content(self) -> bytes:
        """Return the names of the folders in the order of the images."""
        return "\n".join(self.names[number] for number in self.folders.tolist()).encode("utf-8", "surrogateescape")
