r"""Find the files that a table lists: by path, or if the paths are those of another machine or mere names, by search.

A row may say C:\Users\me\photos\cat\1.jpg for cat/1.jpg next to the table, or only 1 for train/1.jpg.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from opsin.base.path_words import has_sample_ending
from opsin.data.items import MISSING, TRAIN, UNLABELLED, FileProblem, printable
from opsin.data.sources.names import OTHER_FOLDERS, normalized, quoted_list, split_named


class Store(Protocol):
    """The files that a table may list: on disk or in an archive."""

    @property
    def files(self) -> Sequence[str]:
        """All files, separated by "/", relative to the root; only used if paths do not lead to files."""

    def direct(self, path: str, folder: str) -> int | FileProblem:
        """Return the position of the file at a path relative to `folder`, or the problem with it."""

    def position(self, file: str) -> int:
        """Return the position of one of the `files`."""

    def file(self, position: int) -> str:
        """Return the path of the file at a position."""


class FileNameIndex:
    """Files by name, and images also by their name without extension, ignoring case."""

    def __init__(self, files: Iterable[str]) -> None:
        self._paths: dict[str, list[str]] = {}
        for path in files:
            name = posixpath.basename(path)
            self._paths.setdefault(name.lower(), []).append(path)
            stem, dot, _ = name.rpartition(".")
            if dot and stem and has_sample_ending(name):
                self._paths.setdefault(stem.lower(), []).append(path)
                if stem.isdigit() and stem[0] == "0" and len(stem) > 1:  # spreadsheets turn 007 into 7
                    self._paths.setdefault(stem.lstrip("0") or "0", []).append(path)

    def named(self, name: str) -> list[str]:
        """Return the files with exactly this name, or else those that differ in case or extension."""
        paths = self._paths.get(name.lower(), [])
        exact_matches = [path for path in paths if posixpath.basename(path) == name]
        return exact_matches or [path for path in paths if _stem(path) == name] or paths


def _stem(path: str) -> str:
    return posixpath.basename(path).rpartition(".")[0]


class PathResolver:
    """Finds the files of one table, which has these `paths`.

    A path that leads to a file means this file. An absolute path of another machine means the file that matches the
    longest end of the path. If no path of the table leads to a file, names are searched for in all folders; of several
    files, the one in a folder named after the split of the row is chosen.
    """

    def __init__(
        self, store: Store, file_names: Callable[[], FileNameIndex], paths: Sequence[str], folder: str, split: str
    ) -> None:
        self._store, self._file_names, self._folder, self._split = store, file_names, folder, split or TRAIN
        self._direct = {path: store.direct(path, folder) for path in paths}
        self._by_name = not any(isinstance(position, int) for position in self._direct.values())
        folders_of_paths = [folders(path) for path in paths]
        self._common = len(posixpath.commonprefix(folders_of_paths)) if folders_of_paths else 0

    @property
    def found_directly(self) -> int:
        """The number of different files that the paths lead to."""
        return len({position for position in self._direct.values() if isinstance(position, int)})

    def find(self, path: str, split: str = "") -> tuple[int, str] | FileProblem:
        """Return the position of a file, and its path if it was searched for ("" otherwise), or the problem."""
        direct = self._direct[path]
        if isinstance(direct, int):
            return direct, ""
        if direct.kind != MISSING or "://" in path or "\0" in path:
            return direct
        if not (self._by_name or is_foreign(path)):
            return direct
        files = self._of_split(self._candidates(path), split or self._split)
        if len(files) > 1:
            reason = f"may be {quoted_list(map(printable, files), 3)}; give the path of one of them in the table"
            return FileProblem(printable(path), reason, UNLABELLED)
        return (self._store.position(files[0]), files[0]) if files else direct

    def _candidates(self, path: str) -> list[str]:
        """Return the files that match the longest end of the path, unless the remaining folders contradict."""
        components = (normalized(path) or posixpath.basename(path.replace("\\", "/"))).split("/")
        by_overlap: dict[int, list[str]] = {}
        for file in self._file_names().named(components[-1]):
            inside = file.removeprefix(self._folder + "/") if self._folder else file
            overlap = _common_end(components[:-1], inside.split("/")[:-1])
            row_left, file_left = len(components) - 1 - overlap - self._common, inside.count("/") - overlap
            if row_left <= 0 or file_left == 0:
                by_overlap.setdefault(overlap, []).append(file)
        files = by_overlap[max(by_overlap)] if by_overlap else []
        inputs = [file for file in files if not OTHER_FOLDERS & {*file.lower().split("/")[:-1]}]
        return inputs or files

    def _of_split(self, files: list[str], split: str) -> list[str]:
        """Return the files in a folder named after the split, or else those in no folder named after another one."""
        if len(files) < 2:
            return files
        named = [{split_named(folder) for folder in file.split("/")[:-1]} - {None} for file in files]
        matching = [file for file, splits in zip(files, named, strict=True) if split in splits]
        return matching or [file for file, splits in zip(files, named, strict=True) if not splits] or files


def is_foreign(path: str) -> bool:
    r"""Return whether a path is absolute on any system: /a/b, C:\a\b, \\server\a."""
    return path[:1] in ("/", "\\") or path[1:3] in (":\\", ":/")


def folders(path: str) -> list[str]:
    """Return the folders of a path in a table."""
    return (normalized(path) or "").split("/")[:-1]


def _common_end(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the number of folders before a file that have the same names in both paths."""
    count = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a.lower() != b.lower():
            break
        count += 1
    return count
