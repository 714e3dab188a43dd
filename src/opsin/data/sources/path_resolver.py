r"""The files that a table means: by path, or, where its paths are another machine's or mere names, by what is there.

A row may say C:\Users\me\photos\cat\1.jpg where cat/1.jpg lies beside the table, or only 1 where there is train/1.jpg.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from opsin.data.items import MISSING, TRAIN, UNLABELLED, FileProblem, printable
from opsin.data.sources.names import OTHER_FOLDERS, cleaned, has_image_ending, listed, split_named


class Store(Protocol):
    """Where a table's images are: on the disk or in an archive."""

    @property
    def files(self) -> Sequence[str]:
        """All files, by "/", relative to the root; asked for only where paths do not lead to files."""

    def direct(self, path: str, folder: str) -> int | FileProblem:
        """The position of the file at a path that is relative to `folder`, or what is there instead."""

    def position(self, file: str) -> int:
        """The position of one of the `files`."""

    def file(self, position: int) -> str:
        """The path of the file that is there."""


class FileNameIndex:
    """Files by their names, and images by these without ending, whatever the case of letters."""

    def __init__(self, files: Iterable[str]) -> None:
        self._found: dict[str, list[str]] = {}
        for path in files:
            name = posixpath.basename(path)
            self._found.setdefault(name.lower(), []).append(path)
            stem, dot, _ = name.rpartition(".")
            if dot and stem and has_image_ending(name):
                self._found.setdefault(stem.lower(), []).append(path)
                if stem.isdigit() and stem[0] == "0" and len(stem) > 1:  # spreadsheets make 7 of 007
                    self._found.setdefault(stem.lstrip("0") or "0", []).append(path)

    def named(self, name: str) -> list[str]:
        """The files of this name: of those with this very name, else of those that differ in case or have an ending."""
        found = self._found.get(name.lower(), [])
        exact = [path for path in found if posixpath.basename(path) == name]
        return exact or [path for path in found if _stem(path) == name] or found


def _stem(path: str) -> str:
    return posixpath.basename(path).rpartition(".")[0]


class PathResolver:
    """Finds the files of one table, all of whose `paths` are given.

    A path that leads to a file means that one. An absolute path of another machine means the file at its longest end
    that is there. Where none of a table's paths leads to a file, names are looked for in all folders; of several the
    one in a folder that is called after the row's part.
    """

    def __init__(
        self, store: Store, catalogue: Callable[[], FileNameIndex], paths: Sequence[str], folder: str, part: str
    ) -> None:
        self._store, self._catalogue, self._folder, self._part = store, catalogue, folder, part or TRAIN
        self._direct = {path: store.direct(path, folder) for path in paths}
        self._loose = not any(isinstance(found, int) for found in self._direct.values())
        split = [folders(path) for path in paths]
        self._common = len(posixpath.commonprefix(split)) if split else 0

    @property
    def found_directly(self) -> int:
        """How many different paths lead to files."""
        return len({found for found in self._direct.values() if isinstance(found, int)})

    def find(self, path: str, part: str = "") -> tuple[int, str] | FileProblem:
        """The file's position, and where it is if not where the path leads; or what is wrong with a path of the table."""
        direct = self._direct[path]
        if isinstance(direct, int):
            return direct, ""
        if direct.kind != MISSING or "://" in path or "\0" in path:
            return direct
        if not (self._loose or is_foreign(path)):
            return direct
        found = self._candidates(path)
        found = self._of_part(found, part or self._part)
        if len(found) > 1:
            reason = f"may be {listed(map(printable, found), 3)}; give the path of one of them in the table"
            return FileProblem(printable(path), reason, UNLABELLED)
        return (self._store.position(found[0]), found[0]) if found else direct

    def _candidates(self, path: str) -> list[str]:
        """The files that agree best with the path's end, if nothing in the rest of both contradicts."""
        parts = (cleaned(path) or posixpath.basename(path.replace("\\", "/"))).split("/")
        best: dict[int, list[str]] = {}
        for file in self._catalogue().named(parts[-1]):
            inside = file.removeprefix(self._folder + "/") if self._folder else file
            same = _common_end(parts[:-1], inside.split("/")[:-1])
            row_left, file_left = len(parts) - 1 - same - self._common, inside.count("/") - same
            if row_left <= 0 or file_left == 0:
                best.setdefault(same, []).append(file)
        found = best[max(best)] if best else []
        inputs = [file for file in found if not OTHER_FOLDERS & {*file.lower().split("/")[:-1]}]
        return inputs or found

    def _of_part(self, found: list[str], part: str) -> list[str]:
        """Those in a folder that is named after the part, or else in none that is named after another."""
        if len(found) > 1:
            named = [{split_named(folder) for folder in file.split("/")[:-1]} - {None} for file in found]
            own = [file for file, parts in zip(found, named, strict=True) if part in parts]
            return own or [file for file, parts in zip(found, named, strict=True) if not parts] or found
        return found


def is_foreign(path: str) -> bool:
    r"""Whether a path is absolute, on this system or another: /a/b, C:\a\b, \\server\a."""
    return path[:1] in ("/", "\\") or path[1:3] in (":\\", ":/")


def folders(path: str) -> list[str]:
    """The folders of a path in a table."""
    return (cleaned(path) or "").split("/")[:-1]


def _common_end(one: Sequence[str], other: Sequence[str]) -> int:
    """How many folders before a file are called the same in both."""
    count = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a.lower() != b.lower():
            break
        count += 1
    return count
