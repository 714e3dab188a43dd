"""Tables on the disk, and the images that they name there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from opsin.base.concurrency import lazy
from opsin.base.errors import DataError
from opsin.data.bounded_files import no_file, thing, unreadable
from opsin.data.items import MISSING, FileProblem, shown
from opsin.data.sources.choice import with_tables
from opsin.data.sources.folder import Files, Walk
from opsin.data.sources.layout import by_folders
from opsin.data.sources.listing import Sheet, Tables, nothing_found


class Disk:
    """`finder.Store` of what is in a folder and, by absolute paths or "..", elsewhere; `paths` are those found."""

    def __init__(self, folder: Path, walk: Walk | None = None) -> None:
        self._folder, self._walk = folder, walk
        self._numbers: dict[str, int] = {}
        self.paths: list[str] = []

    @lazy
    def files(self) -> Sequence[str]:
        return (self._walk or Walk(self._folder)).files

    def direct(self, path: str, folder: str) -> int | FileProblem:
        if "://" in path:
            return FileProblem(shown(path), "an address; give the path of a file", MISSING)
        error: OSError | None = None
        for candidate in dict.fromkeys((path, path.replace("\\", "/"))):
            try:
                special = thing(os.stat(self._folder / folder / candidate).st_mode)
            except OSError as caught:
                error = error or caught
            except ValueError:  # a zero byte, which no path has
                return FileProblem(shown(path), "no such file", MISSING)
            else:
                return no_file(shown(path), special).problem if special else self.place(os.path.join(folder, candidate))
        return unreadable(shown(path), error or OSError()).problem

    def place(self, file: str) -> int:
        key = os.path.normpath(file)
        if key not in self._numbers:
            self._numbers[key] = len(self.paths)
            self.paths.append(file)
        return self._numbers[key]

    def file(self, place: int) -> str:
        return os.path.normpath(self.paths[place])


def open_table(table: Path) -> Files:
    """The images that a table names, by paths relative to its folder or absolute."""
    store = Disk(table.parent)
    made = Tables([Sheet(table.name, "", _read(table))], store).arrange()
    if not made.items:
        raise DataError(nothing_found(str(table), made.problems))
    paths = [store.paths[place] for place in made.places]
    return Files(table.stem, table.parent, made.items, made.problems, paths, (), made.notes)


def open_walked(folder: Path, walk: Walk) -> Files:
    """The images of a folder of class folders, or of a table; without items where there is neither."""
    store = Disk(folder, walk)
    by_class = by_folders(walk.files, folders=walk.folders)
    if not by_class.items and any("\\" in path for path in walk.files):  # unpacked by a program that knows "/" only
        by_class = by_folders([path.replace("\\", "/") for path in walk.files])

    def sheet(path: str) -> Sheet:
        return Sheet(os.path.basename(path), os.path.dirname(path), _read(folder / path))

    made = with_tables(by_class, walk.files, sheet, store, f"{folder}/")
    files, problems = (walk.files, walk.problems) if made is by_class else (store.paths, [])
    paths = [files[place] for place in made.places]
    problems, notes = [*problems, *made.problems], [*walk.notes(), *made.notes]
    return Files(folder.resolve().name, folder, made.items, problems, paths, made.empty, notes)


def _read(table: Path) -> bytes:
    try:
        return table.read_bytes()
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}") from None
