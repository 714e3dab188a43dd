"""Cached features at every place where the layers that learn read the frozen ones.

The heads of detectors and segmentation networks read a frozen backbone at several depths. Images that are not augmented
have the same features in each epoch: they are computed once, in the first one, in single precision. A model that
is trained on them is bit-identical to one that is trained on the images.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.backends.base import Program
from opsin.data import Batches
from opsin.training.features import Floats, allocate


class TapCache:
    """The batches of `source`, with features in place of the images.

    `extractor` is a program that computes them, for batches as large as those of `source`, which must not augment. The
    first of its outputs, "inputs", is given like images, and the others with the targets.
    """

    def __init__(self, extractor: Program, source: Batches) -> None:
        self.extractor, self.source = extractor, source
        self.is_cached = np.zeros(len(source.images), bool)
        self.targets: dict[str, NDArray[Any]] = {}
        self.features: dict[str, NDArray[Any]] = {}

    def __len__(self) -> int:
        return len(self.source)

    @property
    def waited(self) -> float:
        """Seconds in which feature extraction waited for images."""
        return self.source.waited

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[Floats, Mapping[str, NDArray[Any]]]]:
        """Yield the batches of epoch `number` from batch `start`; compute the features that are not cached."""
        order, size = self.source.order(number), self.source.size
        batches: Iterator[Any] | None = None
        try:
            for step in range(start, len(self)):
                rows = order[step * size : (step + 1) * size]
                if self.is_cached[rows].all():
                    _close(batches)
                    batches = None
                else:
                    batches = batches or self.source.epoch(number, step)
                    self._add(rows, *next(batches))
                features = {name: array[rows] for name, array in self.features.items()}
                images = features.pop("inputs")
                yield images, features | {name: array[rows] for name, array in self.targets.items()}
        finally:
            _close(batches)

    def _add(self, rows: NDArray[np.intp], images: Floats, targets: Mapping[str, NDArray[Any]]) -> None:
        """Cache the features and the targets of the images with these numbers."""
        features, count = self.extractor.run(inputs=images), len(self.source.images)
        if not self.features:
            self.features = {name: allocate(count, array.shape[1:], np.float32) for name, array in features.items()}
            self.targets = {name: np.empty((count, *array.shape[1:]), array.dtype) for name, array in targets.items()}
        for name, array in features.items():
            self.features[name][rows] = array
        for name, array in targets.items():
            self.targets[name][rows] = array
        self.is_cached[rows] = True


def _close(batches: Iterator[Any] | None) -> None:
    if isinstance(batches, Generator):
        batches.close()
