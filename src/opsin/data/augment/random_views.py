"""Random views of images as images: the same ones each time, for measuring how features follow what images show."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from opsin.data.augment.apply import Augmenter
from opsin.data.augment.policy import views_preset
from opsin.data.dataset import Samples
from opsin.data.pixels import ImageView, Pixels
from opsin.data.preprocessing import Preprocessing

LEVEL = "strong"
SEED = 0


class RandomViews(ImageView):
    """View `number`, from 0, of each of some images, as the strongest augmentation of views makes it.

    It depends on the image's number in `pixels` and on nothing else.
    """

    def __init__(self, pixels: Pixels, augmenter: Augmenter, number: int, indices: NDArray[np.intp]) -> None:
        super().__init__(len(indices), (pixels.shape[1], *augmenter.frame.output_size))
        self.pixels, self.augmenter, self.number, self.indices = pixels, augmenter, number, indices

    @classmethod
    def of(cls, images: Samples, preprocessing: Preprocessing, number: int) -> RandomViews:
        """Return view `number` of images, in the size of the `preprocessing`."""
        channels = preprocessing.channels
        plain = replace(preprocessing, mean=(0.0,) * channels, std=(1 / 255,) * channels)
        policy = views_preset(LEVEL, preprocessing.shape)
        augmenter = Augmenter(policy, plain, images.shape[1:], images.task, SEED)
        return cls(images.pixels, augmenter, number, np.arange(len(images), dtype=np.intp))

    def read(self, indices: NDArray[np.intp]) -> NDArray[np.uint8]:
        numbers = self.indices[indices]
        pixels = np.asarray(self.pixels[numbers])
        parts = [
            self.augmenter.images(pixels[run], 1, self.number, int(numbers[run.start]))[0] for run in _runs(numbers)
        ]
        return np.rint(np.concatenate(parts)).astype(np.uint8) if parts else np.empty((0, *self.shape[1:]), np.uint8)

    def take(self, indices: NDArray[np.intp]) -> RandomViews:
        return RandomViews(self.pixels, self.augmenter, self.number, self.indices[indices])


def _runs(numbers: NDArray[np.intp]) -> list[slice]:
    """Return slices of successive numbers: random numbers are drawn for a run at once."""
    starts = [0, *(np.flatnonzero(np.diff(numbers) != 1) + 1).tolist(), len(numbers)]
    return [slice(first, last) for first, last in pairwise(starts) if last > first]
