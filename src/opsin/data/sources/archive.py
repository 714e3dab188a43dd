"""A zip or tar of class folders, or of a table and its images, read in position without unpacking it to disk."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from opsin.base.errors import DataError
from opsin.data.items import MISSING, FileProblem, Item, printable
from opsin.data.sources import layout
from opsin.data.sources.folders_or_tables import folders_or_tables
from opsin.data.sources.label_tables import TableFile, tables_in
from opsin.data.sources.layout import Listing

if TYPE_CHECKING:
    from opsin.data.sources.file_tree import FileTree


class Members(Protocol):
    """The files in an archive: their paths, and how to read them."""

    @property
    def path(self) -> Path:
        """The path of the archive."""

    @property
    def paths(self) -> Sequence[str]:
        """The paths of the regular files, separated by "/", without ignored files."""

    @property
    def problems(self) -> Sequence[FileProblem]:
        """Members that are not regular files, and problems of the archive."""

    @property
    def folders(self) -> Sequence[str]:
        """Folders that may be empty."""

    @property
    def notes(self) -> Sequence[str]:
        """Sentences for the receipt, such as which files are ignored."""

    def read(self, position: int, name: str) -> bytes:
        """Return a file, called `name` in errors, from any thread. Raise `ItemError` if that fails."""

    def stamp(self, position: int) -> str:
        """Return a text that changes if the file does."""


@dataclass(frozen=True)
class Archive:
    """A `Source` of the members of an archive; `positions` are those of the items among the `members`."""

    name: str
    items: Sequence[Item]
    problems: Sequence[FileProblem]
    members: Members
    positions: Sequence[int]
    empty: Sequence[str] = ()
    notes: Sequence[str] = ()
    unlabelled: FileTree | None = None

    def read(self, index: int) -> bytes:
        return self.members.read(self.positions[index], self.items[index].name)

    def stamp(self, index: int) -> str:
        return self.members.stamp(self.positions[index])


class ArchiveStore:
    """The `path_resolver.Store` of the files in an archive."""

    def __init__(self, files: Sequence[str]) -> None:
        self.files = files
        self._positions = {path: position for position, path in enumerate(files)}

    def direct(self, path: str, folder: str) -> int | FileProblem:
        for candidate in (path, path.replace("\\", "/")):
            position = self._positions.get(posixpath.normpath(posixpath.join(folder, candidate.lstrip("/"))))
            if position is not None:
                return position
        return FileProblem(printable(path), "no such file in the archive", MISSING)

    def position(self, file: str) -> int:
        return self._positions[file]

    def file(self, position: int) -> str:
        return self.files[position]


def open_members(members: Members) -> Archive:
    """Return the images that the table or the class folders of an archive list."""
    order = sorted(range(len(members.paths)), key=lambda position: members.paths[position].split("/"))
    paths = [members.paths[position] for position in order]
    prefix = members.path.name + "/"
    listing = layout.by_folders(paths, prefix, members.folders)

    def read_table_file(path: str) -> TableFile:
        data = members.read(order[paths.index(path)], prefix + path)
        return TableFile(posixpath.basename(path), posixpath.dirname(path), data)

    listing = folders_or_tables(listing, paths, read_table_file, ArchiveStore(paths), prefix, prefix)
    if not listing.items:
        raise DataError(_nothing(members, listing))
    positions = [order[position] for position in listing.positions]
    problems, notes = [*members.problems, *listing.problems], [*members.notes, *listing.notes]
    return Archive(stem(members.path), listing.items, problems, members, positions, listing.empty, notes)


def _nothing(members: Members, listing: Listing) -> str:
    tables = tables_in(members.paths)
    if len(tables) > 1:
        return (
            f"{members.path} holds {len(tables)} tables ({', '.join(map(printable, tables[:5]))}), and none of them "
            "alone lists the classes; keep only one of them, with the columns 'path' and 'label'"
        )
    text = (
        f"{members.path} holds no images in class folders and no table of them; put each class's images into a "
        "separate folder: cat/1.jpg, dog/1.jpg, …"
    )
    problems = [*members.problems, *listing.problems]
    detail = f"{problems[0].name}: {problems[0].reason}" if problems else next(iter(members.notes), "")
    return f"{text}\n{detail}" if detail else text


def stem(path: Path) -> str:
    """Return the name of an archive without extensions: "photos" for photos.tar.gz."""
    name = path.name
    for ending in (".gz", ".bz2", ".xz", ".tar", ".tgz", ".tbz2", ".txz", ".zip"):
        name = name.removesuffix(ending)
    return name or path.name
