"""The properties of a dataset before it is decoded: the number of images per class, and their sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from opsin._aliases import renamed_names
from opsin.base.errors import OpsinError
from opsin.data import Dataset
from opsin.data.decode import read_header
from opsin.data.ingest import split
from opsin.data.ingest.samples import source_kind
from opsin.data.items import TEST, TRAIN, UNSPLIT, VALIDATION, Source
from opsin.data.sources.annotated import AnnotatedSource
from opsin.inputs.registry import IMAGE
from opsin.tasks.registry import REGRESSION, find_task, is_annotated
from opsin.tasks.task import AnnotatedTask, ImageSummary

HEADER_SAMPLES = 32
"""The number of files whose headers are read."""


@dataclass(frozen=True)
class DatasetSummary:
    """The size of a dataset: `images` to train on in `classes` classes, and `held_out` others.

    The smallest class has `smallest` images, the largest one `largest` (0: unknown). `side` is the shorter side of a
    typical image, in pixels; `grey` tells whether all sampled images are grey, and `resizable` whether they can be read
    at any size.
    """

    images: int
    held_out: int
    classes: int
    smallest: int
    side: int
    grey: bool
    resizable: bool
    largest: int = 0
    task: type[AnnotatedTask] | None = None
    """The task that the images are annotated for; None for classes."""
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """The settings of the annotations."""
    kind: str = IMAGE
    """The kind of input."""

    @property
    def has_defaults(self) -> bool:
        """Whether the task or the kind of input gives a plan; recipes for classes of images are found by trials."""
        return self.task is not None or self.kind != IMAGE

    @property
    def annotated_images(self) -> ImageSummary:
        """The summary that `AnnotatedTask.defaults` takes."""
        return ImageSummary(self.images, self.side, self.grey, self.settings)

    @classmethod
    def of(cls, opened: Source | Dataset) -> DatasetSummary:
        """Return the summary of arrays, or of a source's list of files and the headers of a few of them."""
        return cls._of_arrays(opened) if isinstance(opened, Dataset) else cls._of_files(opened)

    @classmethod
    def _of_arrays(cls, data: Dataset) -> DatasetSummary:
        channels, height, width = data.shape
        counts = [count for count in data.train.counts() if count]
        task = type(data.task)
        return cls(
            images=len(data.train),
            held_out=len(data.test or ()) + len(data.validation or ()),
            classes=len(counts),
            smallest=min(counts, default=0),
            largest=max(counts, default=0),
            side=min(height, width),
            grey=channels == 1,
            resizable=channels in (1, 3),
            task=task if is_annotated(task) else None,
            settings=data.task.to_data() if is_annotated(task) else {},
            kind=data.train.kind,
        )

    @classmethod
    def _of_files(cls, source: Source) -> DatasetSummary:
        labels = Counter(item.label for item in source.items if item.split in (TRAIN, UNSPLIT))
        images, largest = sum(labels.values()), max(labels.values(), default=0)
        if largest > split.FEW_IMAGES or isinstance(source, AnnotatedSource):
            images = training_images(images, {item.split for item in source.items})
        kind = source_kind(source)
        sides, greys = _headers(source) if kind == IMAGE else ([], [])
        return cls(
            images=images,
            held_out=len(source.items) - images,
            classes=len(labels),
            smallest=min(labels.values(), default=0),
            largest=largest,
            side=int(np.median(sides)) if sides else 0,
            grey=bool(greys) and all(greys),
            resizable=kind == IMAGE,
            task=source.task if isinstance(source, AnnotatedSource) else _task_of_rows(source),
            settings=source.annotations.settings if isinstance(source, AnnotatedSource) else {},
            kind=kind,
        )


def _task_of_rows(source: Source) -> type[AnnotatedTask] | None:
    """Return the task of rows whose answers are numbers; None for classes."""
    return find_task(REGRESSION) if getattr(source, "quantity", "") else None


def training_images(count: int, splits: Collection[str]) -> int:
    """Return about how many of `count` images remain for training when the missing splits are held out of them.

    The shares are those of `data.ingest.split`; `splits` are those that the source has.
    """
    if TEST not in splits:
        count -= round(split.TEST_SHARE * count)
    if VALIDATION not in splits:
        count -= min(round(split.VALIDATION_SHARE * count), split.MAX_VALIDATION_IMAGES)
    return count


def _headers(source: Source) -> tuple[list[int], list[bool]]:
    """Return the shorter sides of files spread over the source, and whether each is grey; skip unreadable files."""
    sides, greys = [], []
    count = len(source.items)
    for index in np.unique(np.linspace(0, max(0, count - 1), HEADER_SAMPLES).astype(int))[:count]:
        try:
            header = read_header(source.read(int(index)), source.items[index].name)
        except (OpsinError, OSError):
            continue
        sides.append(min(header.height, header.width))
        greys.append(header.grey)
    return sides, greys


__getattr__ = renamed_names(__name__)
