"""The batches of an epoch, prepared in the background; their content is a function of the seed and the epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter
from opsin.data.augment.apply import Arrays, Augmenter
from opsin.data.augment.augmentation import Augmentation
from opsin.data.augment.samples import SampleAugmenter
from opsin.data.dataset import Samples
from opsin.data.grouped_order import grouped_order
from opsin.data.parallel import prefetch
from opsin.data.preprocessing import Preprocessing
from opsin.inputs import Unchanged
from opsin.ir.arguments import instance, whole
from opsin.tasks.task import GroupedTargets

BLOCK_BYTES = 2**22
"""Bytes of float32 that are prepared together, but at least one batch: a call costs more than a small image."""

MAX_BATCH, MAX_BATCH_VALUES = 64, 2**21
"""Images, and input values, that a trained network takes at once; the second limits the memory for large images."""

PREFETCH_BLOCKS = 2
"""Blocks that are prepared or waiting, in addition to the one in use."""

Batch = tuple[NDArray[np.float32], Arrays]
"""Images N × C × H × W, and target arrays by name."""


class Batches:
    """Shuffled batches of `size` images: float32 N×C×H×W, and the task's target arrays, such as "labels", int32 N.

    Each image occurs once per epoch. If images are mirrored, each one is mirrored in every second epoch: with random
    mirroring, half of them would be shown from the same side twice (Jordan 2024). The last batch is filled up with the
    first images of the epoch, since a compiled step expects full batches. If the `augmentation` mixes images, labels
    are shares of classes, float32 N × classes. With a `limit`, an epoch consists of that many images, chosen at random.
    With several `views`, a batch has as many random variants of each image, and `views` times as many rows: the first
    views of all images, then the second ones, and so on; each view is mirrored at random.
    `waited` is the total number of seconds for which consumers have waited; `clock` returns the current time in
    seconds.
    """

    def __init__(
        self,
        images: Samples,
        preprocessing: Preprocessing,
        size: int,
        seed: int,
        augmentation: Any = None,
        limit: int | None = None,
        views: int = 1,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        instance("images", images, Samples, "labelled images, such as data.train of a dataset")
        kinds = Preprocessing if images.input is None else type(images.input)
        instance("preprocessing", preprocessing, kinds, "a Preprocessing, such as that of a model")
        self.images = images
        self.preprocessing = preprocessing
        self.size = whole("the batch", size, minimum=1)
        self.seed = whole("the seed", seed)
        self.augmentation = augmentation or Augmentation()
        self.views = whole("the number of views", views, minimum=1)
        self.limit = min(limit or len(images), len(images))
        self.waited = 0.0
        self._clock = clock
        self._augment = self._augmenter()
        self._flipped = random_counter.words(len(images), self.seed, random_counter.SIDES) < np.uint64(2**63)
        self._block = max(1, BLOCK_BYTES // (4 * self.size * self.views * int(np.prod(preprocessing.input_shape))))

    def _augmenter(self) -> Augmenter | SampleAugmenter:
        images, policy = self.images, self.augmentation
        if images.input is not None:
            changes = Unchanged() if isinstance(policy, Augmentation) else policy
            return SampleAugmenter(changes, images.input, images.task, self.seed)
        return Augmenter(policy, self.preprocessing, images.shape[1:], images.task, self.seed)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return -(-self.limit // self.size)

    def order(self, number: int) -> NDArray[np.intp]:
        """Return the index of the image at each position of epoch `number`, also of those that fill the last batch.

        Images of a group come together, a few at a time (see `GroupedTargets`).
        """
        order = random_counter.order(len(self.images), self.seed, random_counter.SHUFFLE, number)
        if isinstance(self.images.targets, GroupedTargets):
            order = grouped_order(order, self.images.targets.groups())
        return np.resize(order[: self.limit], len(self) * self.size)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of epoch `number` from batch `start`.

        A thread prepares them until the iterator is exhausted or closed; its errors are raised here. The arrays belong
        to the caller and are not reused.
        """
        order = self.order(number)
        numbers = range(start // self._block, -(-len(self) // self._block))
        blocks = prefetch(lambda block: self._prepare(order, number, block), numbers, PREFETCH_BLOCKS)
        skipped = start % self._block
        try:
            while True:
                begin = self._clock()
                pixels, targets = next(blocks, (None, None))
                self.waited += self._clock() - begin
                if pixels is None or targets is None:
                    return
                count = self.size * self.views
                for first in range(skipped * count, len(pixels), count):
                    rows = slice(first, first + count)
                    yield pixels[rows], {name: array[rows] for name, array in targets.items()}
                skipped = 0
        finally:
            blocks.close()

    def _prepare(self, order: NDArray[np.intp], epoch: int, block: int) -> Batch:
        """Return the batches of a block as one. Blocks begin at fixed positions, so their content is independent of
        the first batch.
        """
        first = block * self._block * self.size
        indices = order[first : first + self._block * self.size]
        pixels, targets = self.images.pixels[indices], self.images.targets.take(indices)
        if self.views == 1:
            return self._augment(pixels, targets, self.size, epoch, first, self._flipped[indices] ^ bool(epoch % 2))
        rows = np.arange(len(indices)).reshape(-1, 1, self.size).repeat(self.views, axis=1).reshape(-1)
        return self._augment(pixels[rows], targets.take(rows), self.size, epoch, first * self.views)


def batch_size(shape: Sequence[int], limit: int = MAX_BATCH, values: int = MAX_BATCH_VALUES) -> int:
    """Return how many images of `shape` a network takes at once: up to `limit`, with up to `values` numbers."""
    return max(1, min(limit, values // max(1, prod(shape))))


def pad_rows(rows: NDArray[Any], count: int) -> NDArray[Any]:
    """Return `count` rows: those given, and the last one again as often as necessary."""
    return rows if len(rows) == count else np.concatenate([rows, np.repeat(rows[-1:], count - len(rows), axis=0)])
