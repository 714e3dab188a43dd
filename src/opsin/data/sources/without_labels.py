"""Images with classes as images without labels: their classes become folders, which only measure features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from opsin.data.dataset import AnnotatedImages, Dataset, Samples
from opsin.data.items import Source
from opsin.data.sources.annotated import AnnotatedSource
from opsin.tasks.annotations import AnnotatedImage
from opsin.tasks.registry import SELF_SUPERVISED, find_task


class ItemTree:
    """The items of a source as the files of a tree, by their names."""

    def __init__(self, source: Source) -> None:
        self.name, self.problems, self.notes = source.name, source.problems, getattr(source, "notes", ())
        self._source = source
        self._indices = {item.name: index for index, item in enumerate(source.items)}
        self.paths = sorted(self._indices)

    def read(self, path: str) -> bytes:
        return self._source.read(self._indices[path])

    def stamp(self, path: str) -> str:
        return self._source.stamp(self._indices[path])


def without_labels(opened: Source | Dataset, columns: Sequence[str] = ()) -> AnnotatedSource | Dataset:
    """Return the images of a source or of arrays for learning without labels.

    Raise `DataError` if there are too few images, or if `columns` are named.
    """
    task = find_task(SELF_SUPERVISED)
    task.check_columns(columns)
    if not isinstance(opened, Dataset):
        images = [AnnotatedImage(item.name, item.label, item.split) for item in opened.items]
        return AnnotatedSource.of(ItemTree(opened), task.in_folders(opened.name, images), task)
    task.check_count(opened.name, sum(map(len, opened.splits.values())))
    splits: dict[str, Any] = {split: _in_folders(task, images) for split, images in opened.splits.items()}
    return replace(opened, **splits)


def _in_folders(task: type[Any], images: Samples) -> AnnotatedImages:
    """Return images of arrays with the numbers of their classes as folders."""
    classes = images.task.labels
    targets = task.folders(images.targets.numbers, classes if len(classes) > 1 else ("",))
    return AnnotatedImages(images.pixels, targets, task(), images.names)
