"""Files of pairs of images in the form of Labeled Faces in the Wild: Huang, Ramesh, Berg & Learned-Miller, 2007.

The first line has the number of folds and that of pairs of each kind in a fold, or only the latter. Then each fold has
lines "NAME, n, m" for two images of the same identity, and as many lines "NAME, n, OTHER, m" for two different ones;
tabs stand between. The image n of NAME is NAME/NAME_0001.jpg, with four digits and any ending.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.base.formatting import listed
from opsin.tasks.file_names import stem
from opsin.tasks.problems import printable

FOLDS = 10
"""Folds of a file that names none: successive pairs of each kind take turns."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """P pairs of images: `first` and `second` are their numbers, `same` and `fold` describe each pair."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    same: NDArray[np.bool_]
    fold: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.same)

    @property
    def images(self) -> NDArray[np.intp]:
        """The numbers of the images in any of the pairs, sorted."""
        return np.union1d(self.first, self.second)

    def among(self, images: NDArray[np.intp]) -> Pairs:
        """Return the pairs with the places of their images among some that are sorted and hold them all."""
        first, second = (np.searchsorted(images, numbers) for numbers in (self.first, self.second))
        return Pairs(first, second, self.same, self.fold)


def read_pairs(text: str, source: str, names: Sequence[str]) -> Pairs:
    """Return the pairs that the content of the file `source` lists, among images with these names, which are paths.

    Raise `DataError` for a line of another form, and if images are missing.
    """
    known = {(name.split("/")[-2] if "/" in name else "", stem(name)): number for number, name in enumerate(names)}
    lines = text.splitlines()
    size, rows = _fold_size(lines[0] if lines else "", source), list[tuple[int, int, bool]]()
    missing: dict[str, None] = {}
    for place, keys in _entries(lines[1:], source):
        numbers = [known.get(key) for key in keys]
        missing |= {
            f"{folder}/{name} ({place})": None for (folder, name), n in zip(keys, numbers, strict=True) if n is None
        }
        rows.append((numbers[0] or 0, numbers[1] or 0, keys[0][0] == keys[1][0]))
    if missing:
        raise DataError(
            f"{source} names images that are not there, {len(missing):,} in all: {listed(missing, 3)}; give the folder "
            "with the images of all its pairs"
        )
    if not rows:
        raise DataError(f"{source} lists no pairs; a line is NAME, n, m or NAME, n, OTHER, m, with tabs between")
    columns: list[NDArray[Any]] = [np.array(column) for column in zip(*rows, strict=True)]
    first, second, same = columns
    if same.all() or not same.any():
        raise DataError(
            f"{source} lists only pairs of {'the same identity' if same.all() else 'different ones'}; give both"
        )
    return Pairs(first.astype(np.intp), second.astype(np.intp), same, _folds(same, size))


def _fold_size(line: str, source: str) -> int | None:
    """Return the pairs of each fold; None if the first line names no folds."""
    numbers = line.split()
    if not 1 <= len(numbers) <= 2 or not all(number.isdecimal() for number in numbers):
        raise DataError(f"{source}, line 1: '{printable(line)}' is not a number of pairs, or of folds and pairs")
    return 2 * int(numbers[1]) if len(numbers) == 2 and int(numbers[1]) else None


Key = tuple[str, str]


def _entries(lines: Sequence[str], source: str) -> Iterator[tuple[str, tuple[Key, Key]]]:
    """Yield the place of each line, and folder and stem of both images."""
    for number, line in enumerate(lines, start=2):
        parts = [part.strip() for part in line.split("\t")] if "\t" in line else line.split()
        if not any(parts):
            continue
        place = f"{source}, line {number}"
        if len(parts) == 3:
            parts = [*parts[:2], parts[0], parts[2]]
        if len(parts) != 4 or not parts[1].isdecimal() or not parts[3].isdecimal():
            raise DataError(
                f"{place}: '{printable(line)}' is neither NAME, n, m nor NAME, n, OTHER, m, with tabs between"
            )
        yield place, (_key(parts[0], parts[1]), _key(parts[2], parts[3]))


def _key(name: str, number: str) -> Key:
    return name, f"{name}_{int(number):04d}"


def _folds(same: NDArray[np.bool_], size: int | None) -> NDArray[np.intp]:
    if size is not None:
        return np.arange(len(same)) // size
    places = np.where(same, np.cumsum(same), np.cumsum(~same)) - 1
    return np.asarray(places % FOLDS, np.intp)
