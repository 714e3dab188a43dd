"""The batches of an epoch, prepared ahead in the background; all in them is a function of the seed and the epoch."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter
from opsin.data.augment.apply import Augmenter, Targets
from opsin.data.augment.augmentation import Augmentation
from opsin.data.dataset import LabeledImages
from opsin.data.parallel import prefetch
from opsin.data.preprocessing import Preprocessing
from opsin.ir.arguments import instance, whole

BLOCK_BYTES = 2**22
"""Bytes of float32 that are prepared at a time, but at least a batch: a call costs more than a small image."""

PREFETCH_BLOCKS = 2
"""Blocks that are being prepared or wait, besides the one that is in use."""

Batch = tuple[NDArray[np.float32], Targets]
Block = tuple[NDArray[np.float32], Targets]


class Batches:
    """Shuffled batches of `size` images, float32 N×C×H×W with labels int32 N.

    Every image comes once an epoch; where images are mirrored, in every second one mirrored (chance would show half
    of them from the same side twice: Jordan 2024). The last batch is filled up with the first images of the
    epoch, since a compiled step works on full batches. With an `augmentation` that mixes images,
    shares of classes float32 N × classes come instead of labels. With a `limit` an epoch has only so many of them, at
    random. `waited` is how many seconds consumers have waited for batches so far.
    """

    def __init__(
        self,
        images: LabeledImages,
        preprocessing: Preprocessing,
        size: int,
        seed: int,
        augmentation: Augmentation | None = None,
        limit: int | None = None,
    ) -> None:
        instance("images", images, LabeledImages, "labelled images, such as data.train of a dataset")
        instance("preprocessing", preprocessing, Preprocessing, "a Preprocessing, such as that of a model")
        size, seed = whole("the batch", size, least=1), whole("the seed", seed)
        self.images, self.preprocessing, self.size, self.seed = images, preprocessing, size, seed
        self.augmentation = augmentation or Augmentation()
        self.limit = min(limit or len(images), len(images))
        self.waited = 0.0
        source, classes = images.shape[1:], len(images.classes)
        self._augment = Augmenter(self.augmentation, preprocessing, source, classes, seed)
        self._sides = random_counter.words(len(images), seed, random_counter.SIDES) < np.uint64(2**63)
        self._block = max(1, BLOCK_BYTES // (4 * size * int(np.prod(preprocessing.shape))))

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-self.limit // self.size)

    def order(self, number: int) -> NDArray[np.intp]:
        """The number of the image at each place of epoch `number`, the filled places at the end included."""
        shuffled = random_counter.order(len(self.images), self.seed, random_counter.SHUFFLE, number)
        return np.resize(shuffled[: self.limit], len(self) * self.size)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of epoch `number`, from batch `start` on; what preparing them raises comes through.

        A thread prepares them until the iterator is exhausted or closed. Batches are the caller's to keep.
        """
        order = self.order(number)
        numbers = range(start // self._block, -(-len(self) // self._block))
        blocks = prefetch(lambda block: self._prepare(order, number, block), numbers, PREFETCH_BLOCKS)
        skipped = start % self._block
        try:
            while True:
                begin = perf_counter()
                pixels, targets = next(blocks, (None, None))
                self.waited += perf_counter() - begin
                if pixels is None or targets is None:
                    return
                for first in range(skipped * self.size, len(pixels), self.size):
                    yield pixels[first : first + self.size], targets[first : first + self.size]
                skipped = 0
        finally:
            blocks.close()

    def _prepare(self, order: NDArray[np.intp], epoch: int, block: int) -> Block:
        """The batches of a block together. Blocks begin at fixed places: what is in one is the same from any start."""
        first = block * self._block * self.size
        chosen = order[first : first + self._block * self.size]
        pixels, labels = self.images.pixels[chosen], self.images.labels[chosen]
        return self._augment(pixels, labels, self.size, epoch, first, self._sides[chosen] ^ bool(epoch % 2))
