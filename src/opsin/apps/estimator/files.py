"""Image files as an estimator takes them: a list of paths with labels, or a source that has its own labels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.apps.estimator.errors import InputError
from opsin.data import Dataset, Preprocessing
from opsin.data.file_io import read_file, stamp
from opsin.data.items import UNSPLIT, FileProblem, Item, printable
from opsin.data.parallel import for_each
from opsin.data.pixels import concatenate
from opsin.data.sources.annotated import AnnotatedSource
from opsin.data.sources.folder import Files
from opsin.tasks.annotations import AnnotatedImage, Annotations

CHUNK = 256
"""Images that are in memory at a time."""

NAME = "the list of files"


def is_source(x: Any) -> bool:
    """Return whether `x` is one path: a folder, an archive, a table, or "digits"."""
    return _is_path(x)


def is_paths(x: Any) -> bool:
    """Return whether `x` holds paths, one for each image."""
    if isinstance(x, Sequence):
        first = x[0] if len(x) else None
        return _is_path(first[0] if isinstance(first, list | tuple) and first else first)
    array = np.asarray(x)
    return array.dtype.kind in "UO" and bool(array.size) and _is_path(array.reshape(-1)[0])


def _is_path(x: Any) -> bool:
    return isinstance(x, str | os.PathLike)


def paths_of(x: Any) -> list[str]:
    """Return one path for each image, from N or N×1. Raise `InputError` if there is anything else among them."""
    table = np.asarray(x, dtype=object)
    if table.size != len(table):
        raise InputError(f"X holds {table.size // len(table)} columns of text; give one path for each image")
    paths = table.reshape(-1)
    for index, path in enumerate(paths):
        if not _is_path(path):
            raise InputError(f"X[{index}] is {path!r}, not a path as the others are; give all images as paths")
    return [os.fspath(path) for path in paths]


def source_of(paths: Sequence[str], labels: Sequence[str]) -> tuple[Files, str]:
    """Return a source of these files, and its key in the cache of decoded images.

    All subsets of the same files have the same key; the folds of a cross-validation share their images.
    """
    items = [Item(name, label, UNSPLIT) for name, label in zip(_unique_names(paths), labels, strict=True)]
    return Files(NAME, Path(), items, (), paths), _key(paths)


def annotated_source(
    paths: Sequence[str], targets: Sequence[Any], task: type[Any], settings: dict[str, Any]
) -> tuple[AnnotatedSource, str]:
    """Return a source of these files with the targets of a task, and its key in the cache of decoded images."""
    names = _unique_names(paths)
    images = [AnnotatedImage(name, target) for name, target in zip(names, targets, strict=True)]
    tree = _PathTree(dict(zip(names, paths, strict=True)))
    return AnnotatedSource.of(tree, Annotations(images, settings), task), _key(paths)


@dataclass(frozen=True)
class _PathTree:
    """Files anywhere on the disk; `locations` are their paths by name."""

    locations: Mapping[str, str]
    name: str = NAME
    problems: Sequence[FileProblem] = ()
    notes: Sequence[str] = ()

    @property
    def paths(self) -> Sequence[str]:
        return list(self.locations)

    def read(self, path: str) -> bytes:
        return read_file(Path(self.locations[path]), path)

    def stamp(self, path: str) -> str:
        return stamp(Path(self.locations[path]))


def _unique_names(paths: Sequence[str]) -> list[str]:
    """Return a name for each path; a sample drawn with replacement repeats paths, but names must be unique."""
    counts: Counter[str] = Counter()
    names = []
    for name in map(printable, paths):
        counts[name] += 1
        names.append(name if counts[name] == 1 else f"{name} ({counts[name]})")
    return names


def _key(paths: Sequence[str]) -> str:
    return os.path.join(os.path.commonpath([os.path.abspath(path) for path in paths]), "*")


def without_test(data: Dataset) -> Dataset:
    """Return the dataset with its test split added to the training split. The caller has another test split.

    The fingerprint differs from that of the same files with a test split, which could measure a model.
    """
    content = f"{data.content} without test"
    if data.validation is None:
        return Dataset(data.name, data.all_images(), None, False, None, data.receipt, content, data.pixel_range)
    splits = (data.train, data.require_test())
    names = tuple(name for split in splits for name in split.names or ())
    pixels = concatenate([split.pixels for split in splits])
    targets = type(data.train.targets).concatenate([split.targets for split in splits])
    train = data.train.changed(pixels, targets, names)
    return Dataset(data.name, train, None, False, data.validation, data.receipt, content, data.pixel_range)


def read(paths: Sequence[str], preprocessing: Preprocessing) -> Iterator[NDArray[np.uint8]]:
    """Yield the images in chunks, uint8 N×C×H×W. Raise `DataError` for a file that is not an image."""
    for first in range(0, len(paths), CHUNK):
        chunk = paths[first : first + CHUNK]
        pixels = np.empty((len(chunk), *preprocessing.shape), np.uint8)

        def decode(index: int, chunk: Sequence[str] = chunk, pixels: NDArray[np.uint8] = pixels) -> None:
            pixels[index] = preprocessing.read(Path(chunk[index]), chunk[index])

        for_each(decode, range(len(chunk)))
        yield pixels
