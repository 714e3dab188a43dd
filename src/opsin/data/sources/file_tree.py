"""The files of a folder or an archive, as the readers of annotations take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from opsin.base.errors import DataError, OpsinError
from opsin.data.decode import read_header
from opsin.data.file_io import read_file, stamp
from opsin.data.items import FileProblem, printable
from opsin.data.sources.archive import Members
from opsin.data.sources.folder import FolderWalk
from opsin.data.sources.table import TABLE_ENDINGS


class FileTree(Protocol):
    """`opsin.tasks.annotations.Files` with what a source needs besides. No path leads out of the tree."""

    @property
    def name(self) -> str:
        """The name of the data."""

    @property
    def paths(self) -> Sequence[str]:
        """The paths of all files, sorted."""

    @property
    def problems(self) -> Sequence[FileProblem]:
        """Files that cannot be used at all."""

    @property
    def notes(self) -> Sequence[str]:
        """Sentences for the receipt."""

    def read(self, path: str) -> bytes:
        """Return the content of one of the `paths`. Raise `DataError` if it cannot be read."""

    def stamp(self, path: str) -> str:
        """Return a text that changes if the file does."""


@dataclass(frozen=True)
class FolderTree:
    """The files of a folder on disk; `paths` are those of its walk, or some of them."""

    name: str
    folder: Path
    paths: Sequence[str]
    problems: Sequence[FileProblem]
    notes: Sequence[str]

    @classmethod
    def of(cls, folder: Path, walk: FolderWalk) -> FolderTree:
        """Return all files that a walk found."""
        return cls(folder.resolve().name, folder, sorted(walk.files), walk.problems, walk.notes())

    def with_table(self, table: str) -> FolderTree:
        """Return the tree with this file as its only table."""
        paths = [path for path in self.paths if path == table or not path.lower().endswith(TABLE_ENDINGS)]
        return replace(self, name=Path(table).stem, paths=paths)

    def read(self, path: str) -> bytes:
        return read_file(self.folder / path, printable(path))

    def stamp(self, path: str) -> str:
        return stamp(self.folder / path)


class MemberTree:
    """The files in an archive."""

    def __init__(self, name: str, members: Members) -> None:
        self.name, self._members = name, members
        self.problems, self.notes = members.problems, members.notes
        self._positions = {path: position for position, path in enumerate(members.paths)}
        self.paths = sorted(self._positions)

    def read(self, path: str) -> bytes:
        return self._members.read(self._position(path), printable(path))

    def stamp(self, path: str) -> str:
        return self._members.stamp(self._position(path))

    def _position(self, path: str) -> int:
        if path not in self._positions:
            raise DataError(f"{printable(path)}: there is no such file in {self._members.path}")
        return self._positions[path]


def image_size(tree: FileTree, path: str) -> tuple[int, int] | None:
    """Return height and width of an image as it is decoded; None if it cannot be read."""
    try:
        header = read_header(tree.read(path), printable(path))
    except (OpsinError, OSError):
        return None
    return header.height, header.width
