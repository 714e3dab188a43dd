"""Labelled images, and data sets that consist of a training, a validation and a test split."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from opsin.base.concurrency import lazy
from opsin.base.errors import DataError, UsageError
from opsin.data import pixels as image_pixels
from opsin.data.decode import PixelRange
from opsin.data.ingest.receipt import Receipt
from opsin.data.items import TEST, TRAIN, VALIDATION
from opsin.data.pixels import Pixels


@dataclass(frozen=True, eq=False)
class LabeledImages:
    """N images with labels.

    `pixels` are uint8 N×C×H×W and `labels` int32 N: indices into `classes`. `names` are the names of the images in
    messages.
    """

    pixels: Pixels
    labels: NDArray[np.int32]
    classes: tuple[str, ...]
    names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.pixels.shape[1:]
        return channels, height, width

    def take(self, indices: NDArray[np.intp]) -> LabeledImages:
        """Return the images with these indices; if the pixels are a view, nothing is read."""
        names = None if self.names is None else tuple(self.names[index] for index in indices)
        return LabeledImages(image_pixels.take(self.pixels, indices), self.labels[indices], self.classes, names)

    def counts(self) -> list[int]:
        """Return the number of images of each class."""
        return [int(n) for n in np.bincount(self.labels, minlength=len(self.classes))]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images in up to three splits: to train on, to select and calibrate a model, and to measure its accuracy.

    `test` is None if no images are left to measure with. `predefined_split` says whether the data came with its test
    split; otherwise Opsin held it out, and the same images each time. `receipt` tells what was found when the data was
    read. `content` is a digest of the image files. `pixel_range` are the values that became 0 and 255 if the images
    were not bytes, and `depth` is the type of the arrays that they came in.
    """

    name: str
    train: LabeledImages
    test: LabeledImages | None
    predefined_split: bool
    validation: LabeledImages | None = None
    receipt: Receipt | None = None
    content: str = ""
    pixel_range: PixelRange | None = None
    depth: str = ""

    @property
    def classes(self) -> tuple[str, ...]:
        return self.train.classes

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        return self.train.shape

    @property
    def splits(self) -> dict[str, LabeledImages]:
        """The splits that the data set has, by name."""
        splits = {TRAIN: self.train, VALIDATION: self.validation, TEST: self.test}
        return {name: images for name, images in splits.items() if images is not None}

    def require_test(self) -> LabeledImages:
        """Return the test split. Raise `UsageError` if there is none."""
        if self.test is None:
            raise UsageError(
                f"{self.name} has no test split, so no test accuracy can be measured; load the data with "
                "opsin.data.load, which holds one out, or pass a Dataset with test images"
            )
        return self.test

    @lazy
    def fingerprint(self) -> str:
        """A digest of the image files, or of the training images and labels, by which a model recognises its data."""
        if self.content:
            return self.content
        digest = blake2b(digest_size=16)
        for chunk in image_pixels.chunks(self.train.pixels):
            digest.update(chunk.tobytes())
        digest.update(self.train.labels.tobytes())
        return digest.hexdigest()

    def all_images(self) -> LabeledImages:
        """Return the images of all splits, concatenated in the order training, validation, test."""
        splits = list(self.splits.values())
        names = [images.names for images in splits if images.names is not None]
        return LabeledImages(
            image_pixels.concatenate([images.pixels for images in splits]),
            np.concatenate([images.labels for images in splits]),
            self.classes,
            tuple(name for group in names for name in group) if len(names) == len(splits) else None,
        )


def check_classes(images: LabeledImages, source: str) -> None:
    """Raise `DataError` unless there are images of at least two classes."""
    names = [name for name, count in zip(images.classes, images.counts(), strict=True) if count]
    if len(names) < 2:
        content = f"images of one class only ('{names[0]}')" if names else "no images"
        raise DataError(f"{source} holds {content}; training needs images of at least two classes")
