"""Labelled images, divided into those to train on, to choose by, and to measure with."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from opsin.base.concurrency import lazy
from opsin.base.errors import DataError
from opsin.data import pixels as image_pixels
from opsin.data.decode import PixelRange
from opsin.data.ingest.receipt import Receipt
from opsin.data.pixels import Pixels


@dataclass(frozen=True, eq=False)
class LabeledImages:
    """`pixels` uint8 N×C×H×W, `labels` int32 N: numbers of names in `classes`; `names` is what people call each one."""

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
        """Some of the images; nothing is read where the pixels are a view."""
        names = None if self.names is None else tuple(self.names[index] for index in indices)
        return LabeledImages(image_pixels.take(self.pixels, indices), self.labels[indices], self.classes, names)

    def counts(self) -> list[int]:
        """The number of images of each class."""
        return [int(n) for n in np.bincount(self.labels, minlength=len(self.classes))]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images to train on, to measure with (`test`), and to choose and calibrate by (`validation`).

    `own_split` says whether the data itself brought its test part; otherwise Opsin made it, the same way every time.
    `receipt` is what was found when the data was read. `content` is a digest of the files that the images came from.
    `pixel_range` are the values that became 0 and 255, where they were not bytes to begin with,
    and `depth` the type of the numbers in arrays that were not.
    """

    name: str
    train: LabeledImages
    test: LabeledImages
    own_split: bool
    validation: LabeledImages | None = None
    receipt: Receipt | None = None
    content: str = ""
    pixel_range: PixelRange | None = None
    depth: str = ""

    @classmethod
    def undivided(
        cls,
        name: str,
        images: LabeledImages,
        validation: LabeledImages | None = None,
        pixel_range: PixelRange | None = None,
        depth: str = "",
    ) -> Dataset:
        """A dataset whose test part is still to be held out."""
        nothing = images.take(np.arange(0))
        return cls(name, images, nothing, False, validation, pixel_range=pixel_range, depth=depth)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.train.classes

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.train.shape

    @lazy
    def fingerprint(self) -> str:
        """A digest of the files, or of the images and labels trained on, by which a model knows its data again."""
        if self.content:
            return self.content
        digest = blake2b(digest_size=16)
        for chunk in image_pixels.chunks(self.train.pixels):
            digest.update(chunk.tobytes())
        digest.update(self.train.labels.tobytes())
        return digest.hexdigest()

    def everything(self) -> LabeledImages:
        """All parts together."""
        parts = [part for part in (self.train, self.validation, self.test) if part is not None]
        names = [part.names for part in parts if part.names is not None]
        return LabeledImages(
            image_pixels.concatenate([part.pixels for part in parts]),
            np.concatenate([part.labels for part in parts]),
            self.classes,
            tuple(name for part in names for name in part) if len(names) == len(parts) else None,
        )


def check_classes(images: LabeledImages, source: str) -> None:
    """`DataError` unless there are images of at least two classes."""
    present = [name for name, count in zip(images.classes, images.counts(), strict=True) if count]
    if len(present) < 2:
        what = f"images of one class only ('{present[0]}')" if present else "no images"
        raise DataError(f"{source} holds {what}; training needs images of at least two classes")
