"""The batches of an epoch, in an order that is a function of the seed and the epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.data import counter
from opsin.data.augment import Augmentation
from opsin.data.dataset import Pictures
from opsin.data.preprocessing import Preprocessing


@dataclass(frozen=True)
class Batches:
    """Shuffled batches of `size` pictures, float32 N×C×H×W with labels int32 N.

    Every picture comes once an epoch; the last batch is filled up with the first pictures of the
    epoch, since a compiled step works on full batches.
    """

    pictures: Pictures
    preprocessing: Preprocessing
    size: int
    seed: int
    augmentation: Augmentation | None = None

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-len(self.pictures) // self.size)

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int32]]]:
        """The batches of epoch `number`, from batch `start` on."""
        count = len(self) * self.size
        order = np.resize(counter.order(len(self.pictures), self.seed, counter.SHUFFLE, number), count)
        choice = self.augmentation.draw(count, number) if self.augmentation else None
        for first in range(start * self.size, count, self.size):
            chosen = order[first : first + self.size]
            pixels = self.pictures.pixels[chosen]
            if self.augmentation and choice is not None:
                pixels = self.augmentation.apply(pixels, choice[first : first + self.size])
            yield self.preprocessing.apply(pixels), self.pictures.labels[chosen]
