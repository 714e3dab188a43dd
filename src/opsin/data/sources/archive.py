"""A zip or tar of class folders, or of a table and its pictures, read where it is: nothing is unpacked to the disk."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from opsin.data.items import MISSING, Item, Problem, shown
from opsin.data.sources import layout, listing
from opsin.data.sources.layout import Arrangement
from opsin.data.sources.names import wanted
from opsin.errors import DataError


class Members(Protocol):
    """What is in an archive: the paths of its files, and how to read them."""

    @property
    def path(self) -> Path:
        """The archive."""

    @property
    def paths(self) -> Sequence[str]:
        """Of the regular files, hidden files and litter among them."""

    @property
    def problems(self) -> Sequence[Problem]:
        """Members that are no files, and what is wrong with the archive."""

    def read(self, place: int, name: str) -> bytes:
        """One file, called `name` in errors; from any thread. `ItemError` where that fails."""

    def stamp(self, place: int) -> str:
        """Changes when the file does."""


@dataclass(frozen=True)
class Archive:
    """A `Source` of an archive's `members`; `places` says which one each item is."""

    name: str
    items: Sequence[Item]
    problems: Sequence[Problem]
    members: Members
    places: Sequence[int]

    def read(self, index: int) -> bytes:
        return self.members.read(self.places[index], self.items[index].name)

    def stamp(self, index: int) -> str:
        return self.members.stamp(self.places[index])


def open_members(members: Members) -> Archive:
    """The pictures of an archive: by its table if it has one and no class folders, by its folders otherwise."""
    kept = sorted(
        (place for place, path in enumerate(members.paths) if wanted(path)),
        key=lambda place: members.paths[place].split("/"),
    )
    paths = [members.paths[place] for place in kept]
    prefix = members.path.name + "/"
    made = layout.by_folders(paths, prefix)
    tables = _tables(paths)
    if tables and not made.has_classes:
        made = _by_tables(members, kept, paths, tables, prefix)
    if not made.items:
        raise DataError(
            f"{members.path} holds no pictures in class folders and no table of them; put each class's pictures into a "
            "folder of its own: cat/1.jpg, dog/1.jpg, …"
        )
    places = [kept[place] for place in made.places]
    return Archive(_stem(members.path), made.items, [*members.problems, *made.problems], members, places)


def _tables(paths: Sequence[str]) -> list[str]:
    """The tables in the outermost folder that has files."""
    depth = min((path.count("/") for path in paths), default=0)
    return listing.tables_in([path for path in paths if path.count("/") == depth])


def _by_tables(
    members: Members, kept: Sequence[int], paths: Sequence[str], tables: Sequence[str], prefix: str
) -> Arrangement:
    folder = posixpath.dirname(tables[0])
    places = {posixpath.normpath(path): place for place, path in enumerate(paths)}

    def find(path: str) -> int | Problem:
        for candidate in (path, path.replace("\\", "/")):
            place = places.get(posixpath.normpath(posixpath.join(folder, candidate.lstrip("/"))))
            if place is not None:
                return place
        return Problem(prefix + shown(path), "no such file in the archive", MISSING)

    contents = {posixpath.basename(table): members.read(kept[paths.index(table)], prefix + table) for table in tables}
    made = listing.arrange(contents, find, prefix)
    if not made.items:
        raise DataError(listing.nothing_found(prefix + tables[0], made.problems))
    return made


def _stem(path: Path) -> str:
    """The archive's name without its endings: photos.tar.gz is photos."""
    name = path.name
    for ending in (".gz", ".bz2", ".xz", ".tar", ".tgz", ".tbz2", ".txz", ".zip"):
        name = name.removesuffix(ending)
    return name or path.name
