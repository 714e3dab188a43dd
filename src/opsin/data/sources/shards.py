"""WebDataset: tars in which the files of one example follow each other and share a key (KEY.jpg, KEY.cls).

The convention is that of https://github.com/webdataset/webdataset: the key is everything up to the first dot of the
file's name. Only offsets are kept in memory, so shards may be larger than it.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from opsin.data.items import MISSING, UNDIVIDED, UNLABELLED, Item, ItemError, Problem, shown
from opsin.data.sources.names import PICTURE_ENDINGS, part_within
from opsin.data.sources.tars import Tar
from opsin.errors import DataError

LABEL_ENDINGS = (".cls", ".cls.txt", ".label", ".label.txt", ".class", ".txt", ".json")
"""Where an example's label is looked for, in this order."""

JSON_NAMES = ("label", "cls", "class", "class_name", "category", "target")
MOST_LABEL = 2**20
"""Bytes of a file that holds a label."""

IMAGE_WORDS = (".img", ".image", ".picture")


class Shards:
    """A `Source` of one tar or several, in the order of their names."""

    def __init__(self, name: str, tars: Sequence[Tar], labels: Sequence[str]) -> None:
        """`labels` are what the tars are called in the items' names."""
        self.name = name
        self.items: list[Item] = []
        self.problems: list[Problem] = []
        self._tars = list(tars)
        self._places: list[tuple[int, int]] = []
        for number, (tar, label) in enumerate(zip(tars, labels, strict=True)):
            self.problems += tar.problems
            self._add(number, tar, label)
        if not self.items:
            raise DataError(
                f"{name} holds no labelled pictures; shards are to hold KEY.jpg and KEY.cls, KEY.txt or KEY.json"
            )

    def _add(self, number: int, tar: Tar, shard: str) -> None:
        part = part_within(shard) or UNDIVIDED
        for key, files in _examples(tar.paths):
            name = f"{shard}/{shown(key)}"
            picture = next((place for ending, place in files.items() if _is_picture(ending)), None)
            if picture is None:
                self.problems.append(Problem(name, "a label without a picture", MISSING))
                continue
            label = _label(tar, files, name)
            if isinstance(label, Problem):
                self.problems.append(label)
            else:
                self.items.append(Item(name, label, part))
                self._places.append((number, picture))

    def read(self, index: int) -> bytes:
        number, place = self._places[index]
        return self._tars[number].read(place, self.items[index].name)

    def stamp(self, index: int) -> str:
        number, place = self._places[index]
        return self._tars[number].stamp(place)


def is_shard(tar: Tar) -> bool:
    """Whether a tar's first examples are pictures with labels beside them, of the same key."""
    for number, (_, files) in enumerate(_examples(tar.paths)):
        if number == 8:
            break
        if any(map(_is_picture, files)) and any(ending in files for ending in LABEL_ENDINGS):
            return True
    return False


def _is_picture(ending: str) -> bool:
    return ending.endswith(PICTURE_ENDINGS + IMAGE_WORDS)


def _examples(paths: Sequence[str]) -> Iterator[tuple[str, dict[str, int]]]:
    """Each key, with the places of its files by their endings; an example's files need not be neighbours."""
    found: dict[str, dict[str, int]] = {}
    for place, path in enumerate(paths):
        folder, name = posixpath.split(path)
        stem, dot, ending = name.partition(".")
        found.setdefault(posixpath.join(folder, stem), {})[(dot + ending).lower()] = place
    yield from found.items()


def _label(tar: Tar, files: dict[str, int], name: str) -> str | Problem:
    ending = next((ending for ending in LABEL_ENDINGS if ending in files), None)
    if ending is None:
        return Problem(name, f"no label beside it ({', '.join(LABEL_ENDINGS[:1] + LABEL_ENDINGS[-2:])})", UNLABELLED)
    try:
        text = tar.read(files[ending], name)[:MOST_LABEL].decode("utf-8-sig").strip()
        label = _from_json(json.loads(text)) if ending == ".json" else text
    except ItemError as error:
        return error.problem
    except ValueError:  # text that is not UTF-8, and JSON that is none
        label = ""
    first = shown(label.splitlines()[0].strip()) if label else ""
    return first or Problem(name, f"its label ({ending}) cannot be read", UNLABELLED)


def _from_json(data: Any) -> str:
    """A label in JSON: the value itself, or that of a known name."""
    if isinstance(data, dict):
        data = next((data[name] for name in JSON_NAMES if name in data), "")
    return str(data) if isinstance(data, str | int) and not isinstance(data, bool) else ""


def open_shards(paths: Sequence[Path], folder: Path, name: str) -> Shards:
    """The shards at these paths, named relative to `folder`."""
    ordered = sorted(paths)
    return Shards(name, [Tar(path) for path in ordered], [shown(path.relative_to(folder)) for path in ordered])
