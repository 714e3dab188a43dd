"""A zip or tar of class folders, or of a table and its images, read where it is: nothing is unpacked to the disk."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from opsin.base.errors import DataError
from opsin.data.items import MISSING, FileProblem, Item, printable
from opsin.data.sources import layout
from opsin.data.sources.folders_or_tables import folders_or_tables
from opsin.data.sources.label_tables import TableFile, tables_in
from opsin.data.sources.layout import Listing


class Members(Protocol):
    """What is in an archive: the paths of its files, and how to read them."""

    @property
    def path(self) -> Path:
        """The archive."""

    @property
    def paths(self) -> Sequence[str]:
        """Of the regular files, by "/", without hidden files and litter."""

    @property
    def problems(self) -> Sequence[FileProblem]:
        """Members that are no files, and what is wrong with the archive."""

    @property
    def folders(self) -> Sequence[str]:
        """Those that may be without a file."""

    @property
    def notes(self) -> Sequence[str]:
        """Sentences for the receipt, such as what was passed over."""

    def read(self, place: int, name: str) -> bytes:
        """One file, called `name` in errors; from any thread. `ItemError` where that fails."""

    def stamp(self, place: int) -> str:
        """Changes when the file does."""


@dataclass(frozen=True)
class Archive:
    """A `Source` of an archive's `members`; `places` says which one each item is."""

    name: str
    items: Sequence[Item]
    problems: Sequence[FileProblem]
    members: Members
    places: Sequence[int]
    empty: Sequence[str] = ()
    notes: Sequence[str] = ()

    def read(self, index: int) -> bytes:
        return self.members.read(self.places[index], self.items[index].name)

    def stamp(self, index: int) -> str:
        return self.members.stamp(self.places[index])


class ArchiveStore:
    """`finder.Store` of the files in an archive."""

    def __init__(self, files: Sequence[str]) -> None:
        self.files = files
        self._places = {path: place for place, path in enumerate(files)}

    def direct(self, path: str, folder: str) -> int | FileProblem:
        for candidate in (path, path.replace("\\", "/")):
            place = self._places.get(posixpath.normpath(posixpath.join(folder, candidate.lstrip("/"))))
            if place is not None:
                return place
        return FileProblem(printable(path), "no such file in the archive", MISSING)

    def place(self, file: str) -> int:
        return self._places[file]

    def file(self, place: int) -> str:
        return self.files[place]


def open_members(members: Members) -> Archive:
    """The images of an archive, by its table or its folders."""
    kept = sorted(range(len(members.paths)), key=lambda place: members.paths[place].split("/"))
    paths = [members.paths[place] for place in kept]
    prefix = members.path.name + "/"
    made = layout.by_folders(paths, prefix, members.folders)

    def sheet(path: str) -> TableFile:
        data = members.read(kept[paths.index(path)], prefix + path)
        return TableFile(posixpath.basename(path), posixpath.dirname(path), data)

    made = folders_or_tables(made, paths, sheet, ArchiveStore(paths), prefix, prefix)
    if not made.items:
        raise DataError(_nothing(members, made))
    places = [kept[place] for place in made.places]
    problems, notes = [*members.problems, *made.problems], [*members.notes, *made.notes]
    return Archive(_stem(members.path), made.items, problems, members, places, made.empty, notes)


def _nothing(members: Members, made: Listing) -> str:
    tables = tables_in(members.paths)
    if len(tables) > 1:
        return (
            f"{members.path} holds {len(tables)} tables ({', '.join(map(printable, tables[:5]))}), and none of them alone "
            "says the classes; leave only one of them, with the columns 'path' and 'label'"
        )
    text = (
        f"{members.path} holds no images in class folders and no table of them; put each class's images into a "
        "folder of its own: cat/1.jpg, dog/1.jpg, …"
    )
    problems = [*members.problems, *made.problems]
    more = f"{problems[0].name}: {problems[0].reason}" if problems else next(iter(members.notes), "")
    return f"{text}\n{more}" if more else text


def _stem(path: Path) -> str:
    """The archive's name without its endings: photos.tar.gz is photos."""
    name = path.name
    for ending in (".gz", ".bz2", ".xz", ".tar", ".tgz", ".tbz2", ".txz", ".zip"):
        name = name.removesuffix(ending)
    return name or path.name
