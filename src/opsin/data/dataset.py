"""Images with targets, and data sets that consist of a training, a validation and a test split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from opsin.base.concurrency import lazy
from opsin.base.errors import DataError, UsageError
from opsin.data import pixels as image_pixels
from opsin.data.decode import Framing, PixelRange, Stretch
from opsin.data.frame_stacks import FrameStacks, rows_by_position
from opsin.data.ingest.receipt import Receipt
from opsin.data.items import TEST, TRAIN, VALIDATION
from opsin.data.pixels import Pixels
from opsin.inputs.registry import IMAGE
from opsin.tasks.classification import Classification, ClassLabels


class Samples:
    """N images with their targets, for a task.

    `pixels` are uint8 N×C×H×W, `targets` the right answers and `task` the question. `names` are the names of the images
    in messages. Samples of another kind, such as sound, have an `input` (see `opsin.inputs`), and `pixels` are arrays
    of its type.
    """

    pixels: Pixels
    targets: Any
    task: Any
    names: tuple[str, ...] | None
    input: Any

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def kind(self) -> str:
        """The kind of input, such as "image" or "sound"."""
        return IMAGE if self.input is None else str(self.input.kind)

    @property
    def framing(self) -> Framing | None:
        """How image files become images of this size; annotated ones are stretched, so that no part is lost."""
        return None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image, or of a stack of frames."""
        channels, height, width = self.pixels.shape[1:]
        return channels, height, width

    @property
    def frames(self) -> int:
        """The frames of a film in each stack; 1 for single images."""
        return self.pixels.frames if isinstance(self.pixels, FrameStacks) else 1

    def single(self) -> Self:
        """Return the images without those before them."""
        if not isinstance(self.pixels, FrameStacks):
            return self
        return self.changed(self.pixels.current, self.targets, self.names)

    def stacked(self, frames: int) -> Self:
        """Return each image with the `frames` - 1 before it; raise `DataError` if their order of time is not known."""
        if frames == self.frames:
            return self
        images, positions = self.single(), getattr(self.targets, "positions", None)
        if frames == 1:
            return images
        if positions is None:
            raise DataError(
                f"the network compares each image with the {frames - 1} before it, but the images are not known to be "
                "frames in the order of time: a table lists those, with names that count up or tell the time"
            )
        return images.changed(
            FrameStacks(images.pixels, rows_by_position(positions, frames)), images.targets, images.names
        )

    def with_changed(self, change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> Self:
        """Return the images after `change`, from uint8 N×C×H×W to the same shape, also of all frames in a stack."""
        if self.frames == 1:
            return self.changed(change(self.pixels[:]), self.targets, self.names)
        rows = np.arange(len(self) * self.frames, dtype=np.intp).reshape(len(self), self.frames)
        singles = change(self.pixels[:].reshape(rows.size, -1, *self.shape[1:]))
        return self.changed(FrameStacks(singles, rows), self.targets, self.names)

    def counts(self) -> list[int]:
        """Return the number of images of each class or label; nothing if the task has none."""
        counts: list[int] = self.targets.counts(len(self.task.labels))
        return counts

    def take(self, indices: NDArray[np.intp]) -> Self:
        """Return the images with these indices; if the pixels are a view, nothing is read."""
        names = None if self.names is None else tuple(self.names[index] for index in indices)
        return self.changed(image_pixels.take(self.pixels, indices), self.targets.take(indices), names)

    def changed(self, pixels: Pixels, targets: Any, names: tuple[str, ...] | None) -> Self:
        """Return other images of the same task."""
        raise NotImplementedError

    def for_network(self, network: str) -> Self:
        """Return the images with their task for a network (see `Task.for_network`)."""
        return self


@dataclass(frozen=True, eq=False)
class LabeledImages(Samples):
    """N images with one class each.

    `pixels` are uint8 N×C×H×W and `labels` int32 N: indices into `classes`. `names` are the names of the images in
    messages.
    """

    pixels: Pixels
    labels: NDArray[np.int32]
    classes: tuple[str, ...]
    names: tuple[str, ...] | None = None
    input: Any = None

    @property
    def targets(self) -> ClassLabels:
        """The labels as the targets of a classifier."""
        return ClassLabels(self.labels)

    @property
    def task(self) -> Classification:
        """Classification into the `classes`."""
        return Classification(self.classes)

    def changed(self, pixels: Pixels, targets: ClassLabels, names: tuple[str, ...] | None) -> LabeledImages:
        """Return other images with the same classes."""
        return LabeledImages(pixels, targets.numbers, self.classes, names, self.input)


@dataclass(frozen=True, eq=False)
class AnnotatedImages(Samples):
    """N images with the targets of any task."""

    pixels: Pixels
    targets: Any
    task: Any
    names: tuple[str, ...] | None = None
    input: Any = None

    @property
    def framing(self) -> Framing:
        return Stretch()

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the task's classes or quantities."""
        names: tuple[str, ...] = self.task.labels
        return names

    def changed(self, pixels: Pixels, targets: Any, names: tuple[str, ...] | None) -> AnnotatedImages:
        """Return other images of the same task."""
        return AnnotatedImages(pixels, targets, self.task, names, self.input)

    def for_network(self, network: str) -> AnnotatedImages:
        """Return the images with their task for a network (see `Task.for_network`)."""
        return replace(self, task=self.task.for_network(network, self.shape[1:]))


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images in up to three splits: to train on, to select and calibrate a model, and to measure its accuracy.

    `test` is None if no images are left to measure with. `predefined_split` says whether the data came with its test
    split; otherwise Opsin held it out, and the same images each time. `receipt` tells what was found when the data was
    read. `content` is a digest of the image files. `pixel_range` are the values that became 0 and 255 if the images
    were not bytes, and `depth` is the type of the arrays that they came in. `notes` are sentences for a receipt.
    `grouped_by` is the regular expression that names the groups of samples, if one was given.
    """

    name: str
    train: Samples
    test: Samples | None
    predefined_split: bool
    validation: Samples | None = None
    receipt: Receipt | None = None
    content: str = ""
    pixel_range: PixelRange | None = None
    depth: str = ""
    notes: tuple[str, ...] = ()
    grouped_by: str = ""

    @property
    def task(self) -> Any:
        """The task that the targets of the images are for."""
        return self.train.task

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the task's classes or quantities."""
        names: tuple[str, ...] = self.task.labels
        return names

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        return self.train.shape

    @property
    def input(self) -> Any:
        """The kind of input of the samples; None for images."""
        return self.train.input

    @property
    def splits(self) -> dict[str, Samples]:
        """The splits that the data set has, by name."""
        splits = {TRAIN: self.train, VALIDATION: self.validation, TEST: self.test}
        return {name: images for name, images in splits.items() if images is not None}

    def stacked(self, frames: int) -> Dataset:
        """Return the data set of stacks of `frames` successive images (see `Samples.stacked`)."""
        parts: dict[str, Any] = {name: images.stacked(frames) for name, images in self.splits.items()}
        return replace(self, **parts)

    def for_network(self, network: str) -> Dataset:
        """Return the data set with its task for a network (see `Task.for_network`)."""
        parts: dict[str, Any] = {name: images.for_network(network) for name, images in self.splits.items()}
        return replace(self, **parts)

    def with_task(self, task: Any) -> Dataset:
        """Return the data set with another task for the same targets. Its images must be `AnnotatedImages`."""
        parts: dict[str, Any] = {name: replace(images, task=task) for name, images in self.splits.items()}  # type: ignore[type-var]
        return replace(self, **parts)

    def require_test(self) -> Samples:
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
        digest.update(self.train.targets.content())
        return digest.hexdigest()

    def all_images(self) -> Samples:
        """Return the images of all splits, concatenated in the order training, validation, test."""
        splits = list(self.splits.values())
        names = [images.names for images in splits if images.names is not None]
        return self.train.changed(
            image_pixels.concatenate([images.pixels for images in splits]),
            type(self.train.targets).concatenate([images.targets for images in splits]),
            tuple(name for group in names for name in group) if len(names) == len(splits) else None,
        )


def check_classes(images: Samples, source: str) -> None:
    """Raise `DataError` unless there are images of at least two classes."""
    present = [name for name, count in zip(images.task.labels, images.counts(), strict=True) if count]
    if len(present) < 2:
        content = f"images of one class only ('{present[0]}')" if present else "no images"
        raise DataError(f"{source} holds {content}; training needs images of at least two classes")
