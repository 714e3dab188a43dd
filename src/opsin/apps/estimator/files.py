"""Image files as an estimator takes them: a list of paths with labels, or data that says its labels itself."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.apps.estimator.problems import InputError
from opsin.data import Dataset, LabeledImages, Preprocessing
from opsin.data.items import UNSPLIT, Item, printable
from opsin.data.parallel import for_each
from opsin.data.pixels import concatenate
from opsin.data.sources.folder import Files

READ = 256
"""Files that are held in memory at a time."""


def is_source(x: Any) -> bool:
    """Whether `x` is one path: a folder, an archive, a table, or "digits"."""
    return _is_path(x)


def is_paths(x: Any) -> bool:
    """Whether `x` holds paths, one for each image."""
    if isinstance(x, Sequence):
        first = x[0] if len(x) else None
        return _is_path(first[0] if isinstance(first, list | tuple) and first else first)
    array = np.asarray(x)
    return array.dtype.kind in "UO" and bool(array.size) and _is_path(array.reshape(-1)[0])


def _is_path(x: Any) -> bool:
    return isinstance(x, str | os.PathLike)


def paths_of(x: Any) -> list[str]:
    """One path for each image, from N or N×1; `InputError` where there is something else among them."""
    table = np.asarray(x, dtype=object)
    if table.size != len(table):
        raise InputError(f"X holds {table.size // len(table)} columns of text; give one path for each image")
    flat = table.reshape(-1)
    for place, path in enumerate(flat):
        if not _is_path(path):
            raise InputError(f"X[{place}] is {path!r}, not a path as the others are; give all images as paths")
    return [os.fspath(path) for path in flat]


def listed(paths: Sequence[str], labels: Sequence[str]) -> tuple[Files, str]:
    """The source of these files, and what the cache of decoded images knows them by.

    Other choices among the same files, as cross-validation makes them, are known by the same.
    """
    seen: Counter[str] = Counter()
    items = []
    for path, label in zip(paths, labels, strict=True):
        name = printable(path)
        seen[name] += 1  # a path may come twice, as where samples are drawn with replacement; names may not
        items.append(Item(name if seen[name] == 1 else f"{name} ({seen[name]})", label, UNSPLIT))
    above = os.path.commonpath([os.path.abspath(path) for path in paths])
    return Files("the list of files", Path(), items, (), paths), os.path.join(above, "*")


def without_test(data: Dataset) -> Dataset:
    """All of it to learn from, but the validation part: who gives labels one by one keeps a test part of his own.

    Its fingerprint is not that of the same files with a test part, on which a model could then still be measured.
    """
    content = f"{data.content} without test"
    if data.validation is None:
        everything = data.all_images()
        return Dataset(data.name, everything, everything, True, None, data.receipt, content, data.pixel_range)
    parts = (data.train, data.require_test())
    names = tuple(name for part in parts for name in part.names or ())
    train = LabeledImages(
        concatenate([part.pixels for part in parts]),
        np.concatenate([part.labels for part in parts]),
        data.classes,
        names,
    )
    return Dataset(data.name, train, data.validation, True, data.validation, data.receipt, content, data.pixel_range)


def read(paths: Sequence[str], like: Preprocessing) -> Iterator[NDArray[np.uint8]]:
    """The images, `READ` at a time: uint8 N×C×H×W. `DataError` for a file that is none."""
    for first in range(0, len(paths), READ):
        some = paths[first : first + READ]
        pixels = np.empty((len(some), *like.shape), np.uint8)

        def take(place: int, some: Sequence[str] = some, pixels: NDArray[np.uint8] = pixels) -> None:
            pixels[place] = like.read(Path(some[place]), some[place])

        for_each(take, range(len(some)))
        yield pixels
