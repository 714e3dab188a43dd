"""Files on the disk: a folder walked safely, and the source that reads what was found."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from opsin.data.file_io import os_error, read_file, special_file_error, special_file_type, stamp
from opsin.data.items import LOOP, REPEATED, SPECIAL, FileProblem, Item, printable
from opsin.data.sources.ignored_files import IgnoredFiles
from opsin.data.sources.names import has_image_ending, is_ignored

Identity = tuple[int, int]
"""A folder's device and number, the same by whatever path one comes to it."""


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

    def read(self, index: int) -> bytes:
        return read_file(self.folder / self.paths[index], self.items[index].name)

    def stamp(self, index: int) -> str:
        return stamp(self.folder / self.paths[index])


@dataclass
class FolderWalk:
    """Every regular file in a folder, hidden files and litter left out; links are followed, each folder's but once.

    A link to a folder that it lies in leads in a circle and is not followed.
    """

    folder: Path
    files: list[str] = field(default_factory=list)
    """Relative to the folder, by "/", in order."""
    problems: list[FileProblem] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    """Those without a file or a folder in them."""
    _litter: IgnoredFiles = field(default_factory=IgnoredFiles)
    _followed: set[Identity] = field(default_factory=set)

    def __post_init__(self) -> None:
        home = self.folder.resolve()
        around = tuple(_identity(os.stat(path)) for path in (home, *home.parents))
        todo = [("", around)]
        while todo:
            relative, chain = todo.pop()
            todo += reversed(self._enter(relative, chain))
        self.files.sort(key=lambda path: path.split("/"))

    def notes(self) -> list[str]:
        """Sentences for the receipt: what was passed over."""
        return [note for note in (self._litter.note(),) if note]

    def _enter(self, relative: str, chain: tuple[Identity, ...]) -> list[tuple[str, tuple[Identity, ...]]]:
        """Notes a folder's files; returns the folders in it that are to be entered."""
        try:
            with os.scandir(self.folder / relative) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            if not relative:
                raise
            self.problems.append(os_error(printable(relative) + "/", error).problem)
            return []
        for entry in entries:
            if is_ignored(entry.name):
                self._litter.add(relative, entry.name)
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
                    if self._allowed(entry, path, identity, chain):
                        inner.append((path, (*chain, identity)))
                else:
                    special = special_file_type(os.stat(self.folder / path).st_mode) or "no regular file"
                    self.problems.append(FileProblem(printable(path), f"{special}, not an image", SPECIAL))
            except OSError as error:
                self.problems.append(os_error(printable(path), error).problem)
        return inner

    def _allowed(self, entry: os.DirEntry[str], path: str, identity: Identity, chain: tuple[Identity, ...]) -> bool:
        """Whether a folder is to be entered; otherwise it is a problem."""
        if identity in chain:
            self.problems.append(FileProblem(printable(path), "a link that leads in a circle", LOOP))
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
    """Every file in the folder and the folders inside it, in order, without hidden files and litter."""
    return [folder / path for path in FolderWalk(folder).files]
