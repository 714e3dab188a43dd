"""Read WebDataset shards: tars in which the files of a sample share a key (KEY.jpg, KEY.cls).

The key is the path up to the first dot of the file name (https://github.com/webdataset/webdataset). Only offsets are
held in memory, so shards may be larger.
"""

from __future__ import annotations

import gzip
import json
import posixpath
import zlib
from collections.abc import Mapping, Sequence
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

from opsin.base.errors import DataError
from opsin.data.items import MISSING, UNLABELLED, UNSPLIT, FileProblem, Item, ItemError, printable
from opsin.data.sources.names import split_mentioned
from opsin.data.sources.tars import Tar
from opsin.data.sources.webdataset import images_of, label_ending, samples

JSON_NAMES = (
    "label", "cls", "class", "class_name", "category", "target", "labels", "label_name", "class_id", "category_id",
    "label_id", "classname", "y", "species",
)  # fmt: skip
MAX_LABEL_BYTES = 2**20
"""Bytes that are read of a file with a label."""


class Shards:
    """A `Source` of one tar or several, in the order of their names.

    Unless it `needs_labels`, all images of a sample are items, and the label of one without is its folder in the tar.
    """

    def __init__(self, name: str, tars: Sequence[Tar], labels: Sequence[str], needs_labels: bool = True) -> None:
        """Open shards; `labels` are the names of the tars in the names of the items."""
        self.name = name
        self._needs_labels = needs_labels
        self.items: list[Item] = []
        self.problems: list[FileProblem] = []
        self.notes: list[str] = []
        self._tars = list(tars)
        self._positions: list[tuple[int, int]] = []
        for number, (tar, label) in enumerate(zip(tars, labels, strict=True)):
            self.problems += tar.problems
            self.notes += [note for note in tar.notes if note not in self.notes]
            self._add(number, tar, label)
        if not self.items:
            text = f"{name} holds no labelled images; shards must hold KEY.jpg and KEY.cls, KEY.txt or KEY.json"
            text = text if needs_labels else f"{name} holds no images; shards must hold KEY.jpg, KEY.png or the like"
            first = f"\n{self.problems[0].name}: {self.problems[0].reason}" if self.problems else ""
            raise DataError(text + first)

    def _add(self, number: int, tar: Tar, shard: str) -> None:
        split = split_mentioned(shard) or UNSPLIT
        for key, files in samples(tar.paths):
            name = f"{shard}/{printable(key)}"
            images = images_of(files)
            if not images:
                self.problems.append(FileProblem(name, "a label without an image", MISSING))
                continue
            if len(images) > 1 and self._needs_labels:
                reason = f"several images ({', '.join(images[:4])}), none of which is called input or image"
                self.problems.append(FileProblem(name, reason, UNLABELLED))
                continue
            label = _label(tar, files, name)
            if isinstance(label, FileProblem) and not self._needs_labels:
                label = printable(posixpath.dirname(key))
            if isinstance(label, FileProblem):
                self.problems.append(label)
                continue
            for ending in images:
                self.items.append(Item(name + printable(ending) if len(images) > 1 else name, label, split))
                self._positions.append((number, files[ending]))

    def read(self, index: int) -> bytes:
        number, position = self._positions[index]
        return self._tars[number].read(position, self.items[index].name)

    def stamp(self, index: int) -> str:
        number, position = self._positions[index]
        return self._tars[number].stamp(position)


def is_shard(tar: Tar) -> bool:
    """Return whether the first samples of a tar have an image and a label with the same key."""
    first = islice(samples(tar.paths), 8)
    return any(images_of(files) and label_ending(files) is not None for _, files in first)


def _label(tar: Tar, files: Mapping[str, int], name: str) -> str | FileProblem:
    ending = label_ending(files)
    if ending is None:
        return FileProblem(name, "no label with the same key (.cls, .txt, .json)", UNLABELLED)
    try:
        data = tar.read(files[ending], name)
        if ending.endswith(".gz"):
            with gzip.open(BytesIO(data)) as file:
                data = file.read(MAX_LABEL_BYTES)
        text = data[:MAX_LABEL_BYTES].decode("utf-8-sig").strip()
        label = _from_json(json.loads(text)) if ".json" in ending else text
    except ItemError as error:
        return error.problem
    except (ValueError, OSError, EOFError, zlib.error, RecursionError):  # not UTF-8, JSON or gzip
        label = ""
    first = printable(label.splitlines()[0].strip()) if label else ""
    return first or FileProblem(name, f"its label ({ending}) cannot be read", UNLABELLED)


def _from_json(data: Any) -> str:
    """Return a label in JSON: the value itself, or the value of a known name."""
    if isinstance(data, dict):
        data = next((data[name] for name in JSON_NAMES if name in data), "")
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    if isinstance(data, float) and data.is_integer():
        data = int(data)
    return str(data) if isinstance(data, str | int) and not isinstance(data, bool) else ""


def open_shards(paths: Sequence[Path], folder: Path, name: str, needs_labels: bool = True) -> Shards:
    """Open the shards at these paths, with names relative to `folder`."""
    tars, labels = sorted(paths), [printable(path.relative_to(folder)) for path in sorted(paths)]
    return Shards(name, [Tar(path) for path in tars], labels, needs_labels)
