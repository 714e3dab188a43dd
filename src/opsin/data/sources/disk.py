"""Tables and class folders on disk, and the images that they list."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from opsin.base.concurrency import lazy
from opsin.base.errors import DataError
from opsin.data.file_io import os_error, special_file_error, special_file_type
from opsin.data.items import MISSING, FileProblem, printable
from opsin.data.sources.folder import Files, FolderWalk
from opsin.data.sources.folders_or_tables import folders_or_tables
from opsin.data.sources.label_tables import LabelTables, TableFile, no_images_message
from opsin.data.sources.layout import by_folders


class DiskStore:
    """The `path_resolver.Store` of a folder and, by absolute paths or "..", of other files; `paths` are those used."""

    def __init__(self, folder: Path, walk: FolderWalk | None = None) -> None:
        self._folder, self._walk = folder, walk
        self._numbers: dict[str, int] = {}
        self.paths: list[str] = []

    @lazy
    def files(self) -> Sequence[str]:
        return (self._walk or FolderWalk(self._folder)).files

    def direct(self, path: str, folder: str) -> int | FileProblem:
        if "://" in path:
            return FileProblem(printable(path), "a URL; give the path of a file", MISSING)
        error: OSError | None = None
        for candidate in dict.fromkeys((path, path.replace("\\", "/"))):
            try:
                special = special_file_type(os.stat(self._folder / folder / candidate).st_mode)
            except OSError as failure:
                error = error or failure
            except ValueError:  # a null byte, which no path contains
                return FileProblem(printable(path), "no such file", MISSING)
            else:
                return (
                    special_file_error(printable(path), special).problem
                    if special
                    else self.position(os.path.join(folder, candidate))
                )
        return os_error(printable(path), error or OSError()).problem

    def position(self, file: str) -> int:
        key = os.path.normpath(file)
        if key not in self._numbers:
            self._numbers[key] = len(self.paths)
            self.paths.append(file)
        return self._numbers[key]

    def file(self, position: int) -> str:
        return os.path.normpath(self.paths[position])


def open_table(table: Path, needs_labels: bool = True) -> Files:
    """Return the images that a table lists, by paths that are relative to its folder or absolute.

    Unless it `needs_labels`, images may have none.
    """
    store = DiskStore(table.parent)
    listing = LabelTables([TableFile(table.name, "", _read(table))], store, needs_labels=needs_labels).arrange()
    if not listing.items:
        raise DataError(no_images_message(str(table), listing.problems))
    paths = [store.paths[position] for position in listing.positions]
    return Files(table.stem, table.parent, listing.items, listing.problems, paths, (), listing.notes)


def open_folder(folder: Path, walk: FolderWalk) -> Files:
    """Return the images of class folders or of a table in a folder; no items if there is neither."""
    store = DiskStore(folder, walk)
    by_class = by_folders(walk.files, folders=walk.folders)
    if not by_class.items and any(
        "\\" in path for path in walk.files
    ):  # unpacked by a program that does not split paths at backslashes
        by_class = by_folders([path.replace("\\", "/") for path in walk.files])

    def read_table_file(path: str) -> TableFile:
        return TableFile(os.path.basename(path), os.path.dirname(path), _read(folder / path))

    listing = folders_or_tables(by_class, walk.files, read_table_file, store, f"{folder}/")
    files, problems = (walk.files, walk.problems) if listing is by_class else (store.paths, [])
    paths = [files[position] for position in listing.positions]
    problems, notes = [*problems, *listing.problems], [*walk.notes(), *listing.notes]
    return Files(folder.resolve().name, folder, listing.items, problems, paths, listing.empty, notes)


def _read(table: Path) -> bytes:
    try:
        return table.read_bytes()
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}") from None
