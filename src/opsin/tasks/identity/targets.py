"""The targets of images that show identities: persons, animals, products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from opsin.tasks.identity.groups import Columns


@dataclass(frozen=True, eq=False)
class Identities:
    """Who or what each of N images shows: `numbers`, int32, which count in all `names` of the data.

    `columns` are the groups of all identities, by kind of group (see `groups.py`).
    """

    numbers: NDArray[np.int32]
    names: tuple[str, ...]
    columns: Columns = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, indices: NDArray[np.intp]) -> Identities:
        """Return the identities of the images with these indices."""
        return replace(self, numbers=self.numbers[indices])

    @classmethod
    def concatenate(cls, parts: Sequence[Identities]) -> Identities:
        """Return the identities of several sets of images of the same data as one."""
        return replace(parts[0], numbers=np.concatenate([part.numbers for part in parts]))

    def groups(self) -> NDArray[np.int32]:
        """Return the number of the identity of each image: one split gets all of its images (see `GroupedTargets`)."""
        return self.numbers

    def strata(self) -> NDArray[np.int32]:
        """Return 1 for images of identities with several images, else 0, so that every split can compare some."""
        return np.asarray(np.bincount(self.numbers)[self.numbers] > 1, np.int32)

    def counts(self, labels: int) -> list[int]:
        """Return nothing: identities are not labels, as new ones are compared in the same way."""
        return []

    def content(self) -> bytes:
        """Return the names of the identities in the order of the images."""
        return "\n".join(self.names[number] for number in self.numbers.tolist()).encode("utf-8", "surrogateescape")
