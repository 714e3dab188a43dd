"""Files on disk: a safe walk through a folder, and the source that reads its files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from opsin.base.path_words import has_image_ending
from opsin.data.file_io import os_error, read_file, special_file_error, special_file_type, stamp
from opsin.data.items import LOOP, REPEATED, SPECIAL, FileProblem, Item, printable
from opsin.data.sources.ignored_files import IgnoredFiles
from opsin.data.sources.names import is_ignored

if TYPE_CHECKING:
    from opsin.data.sources.file_tree import FileTree

Identity = tuple[int, int]
"""Device and inode of a folder, which are independent of the path that leads to it."""


@dataclass(frozen=True)
class Files:
    """A `Source` of files: `paths` are relative to `folder` or absolute, one for each item."""

    name: str
    folder: Path
    items: Sequence[Item]
    problems: Sequence[FileProblem]
    paths: Sequence[str]
    empty: Sequence[str] = ()
    notes: Sequence[str] = ()
    unlabelled: FileTree | None = None

    def read(self, index: int) -> bytes:
        return read_file(self.folder / self.paths[index], self.items[index].name)

    def stamp(self, index: int) -> str:
        return stamp(self.folder / self.paths[index])


@dataclass
class FolderWalk:
    """All regular files in a folder, without ignored files. Links are followed, but only one to each folder.

    A link to a folder that contains it is not followed.
    """

    folder: Path
    files: list[str] = field(default_factory=list)
    """Paths relative to the folder, separated by "/", sorted."""
    problems: list[FileProblem] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    """Empty folders."""
    _ignored: IgnoredFiles = field(default_factory=IgnoredFiles)
    _left_out: list[str] = field(default_factory=list)
    _followed: set[Identity] = field(default_factory=set)

    def __post_init__(self) -> None:
        home = self.folder.resolve()
        ancestors = tuple(_identity(os.stat(path)) for path in (home, *home.parents))
        todo = [("", ancestors)]
        while todo:
            relative, chain = todo.pop()
            todo += reversed(self._enter(relative, chain))
        self.files.sort(key=lambda path: path.split("/"))

    def notes(self) -> list[str]:
        """Return sentences for the receipt about ignored files, and about folders that were left out."""
        note = self._ignored.note()
        return [*([note] if note else []), *self._left_out]

    def leave_out(self, paths: Sequence[str], note: str) -> None:
        """Leave out some of the files, with a note that says which."""
        inside = set(paths)
        self.files = [path for path in self.files if path not in inside]
        self._left_out.append(note)

    def _enter(self, relative: str, chain: tuple[Identity, ...]) -> list[tuple[str, tuple[Identity, ...]]]:
        """Record the files in a folder, and return the folders in it that remain to be visited."""
        try:
            with os.scandir(self.folder / relative) as iterator:
                entries = sorted(iterator, key=lambda entry: entry.name)
        except OSError as error:
            if not relative:
                raise
            self.problems.append(os_error(printable(relative) + "/", error).problem)
            return []
        for entry in entries:
            if is_ignored(entry.name):
                self._ignored.add(relative, entry.name)
        entries = [entry for entry in entries if not is_ignored(entry.name)]
        if not entries and has_image_ending(relative):
            self.problems.append(special_file_error(printable(relative), "a folder").problem)
        elif not entries and relative:
            self.folders.append(relative)
        inner = []
        for entry in entries:
            path = f"{relative}/{entry.name}" if relative else entry.name
            try:
                if entry.is_file():
                    self.files.append(path)
                elif entry.is_dir():
                    identity = _identity(entry.stat())
                    if self._may_enter(entry, path, identity, chain):
                        inner.append((path, (*chain, identity)))
                else:
                    special = special_file_type(os.stat(self.folder / path).st_mode) or "no regular file"
                    self.problems.append(FileProblem(printable(path), f"{special}, not an image", SPECIAL))
            except OSError as error:
                self.problems.append(os_error(printable(path), error).problem)
        return inner

    def _may_enter(self, entry: os.DirEntry[str], path: str, identity: Identity, chain: tuple[Identity, ...]) -> bool:
        """Return whether a folder may be visited; otherwise record it as a problem."""
        if identity in chain:
            self.problems.append(FileProblem(printable(path), "a link in a circle of links", LOOP))
            return False
        if entry.is_symlink():
            if identity in self._followed:
                self.problems.append(FileProblem(printable(path), "a second link to the same folder", REPEATED))
                return False
            self._followed.add(identity)
        return True


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino


def image_files(folder: Path) -> list[Path]:
    """Return all files in the folder and its subfolders, sorted, without ignored files."""
    return [folder / path for path in FolderWalk(folder).files]
