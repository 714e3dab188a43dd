"""Tables whose rows are images: find the column of images and that of splits, and the image that each row means."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from opsin.base.errors import DataError
from opsin.base.formatting import listed
from opsin.base.path_words import split_named
from opsin.tasks.annotations import Files, ImageSize, Problem, sample_endings
from opsin.tasks.file_names import ImageIndex, folder_split, split_of
from opsin.tasks.problems import NO_IMAGE, UNKNOWN_SPLIT, UNREADABLE_FILE, UNREADABLE_IMAGE, AnnotationFault, printable
from opsin.tasks.tables.names import PATH_NAMES, SPLIT_NAMES, head
from opsin.tasks.tables.table import Row, Table, is_table, parse

Targets = TypeVar("Targets")

MAX_TABLES = 100
"""Of more tables in a folder or an archive, the first are read."""

SAMPLE_ROWS = 100
MIN_FOUND = 0.1
"""The share of the sampled cells of a column of images that lead to images."""


@dataclass(frozen=True, eq=False)
class ImageTable:
    """A table with the number of its column of images, that of its splits if it has one, and the other columns.

    `split` is the one that the table is named after ("" otherwise). `other_images` are further columns of images, such
    as those of other cameras.
    """

    table: Table
    image: int
    split_column: int | None
    split: str
    columns: tuple[int, ...]
    other_images: tuple[int, ...] = ()

    @property
    def titles(self) -> list[str]:
        """The titles of the other columns."""
        return [self.table.titles[column] for column in self.columns]


@dataclass(eq=False)
class TableImages:
    """The tables of images in `files`, and the problems and notes found on the way."""

    files: Files
    image_size: ImageSize
    index: ImageIndex
    tables: list[ImageTable] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, files: Files, image_size: ImageSize) -> TableImages:
        """Read the tables of the files. Those that cannot be read are problems; those without images are skipped."""
        result = cls(files, image_size, ImageIndex(files.paths, sample_endings(files)))
        paths = [path for path in files.paths if is_table(path)]
        paths = paths if paths and result.index.paths else []
        for path in sorted(paths, key=lambda path: (path.count("/"), path))[:MAX_TABLES]:
            table = result._parse(path)
            found = image_table(table, result.index) if table else None
            if found is not None:
                result.tables.append(found)
        return result

    def _parse(self, path: str) -> Table | None:
        try:
            return parse(path, self.files.read(path))
        except AnnotationFault as fault:
            self.problems.append(Problem(path, fault.reason, fault.kind))
        except DataError as error:
            self.problems.append(Problem(path, f"cannot be read: {printable(error)}", UNREADABLE_FILE))
        return None

    def rows(self, table: ImageTable) -> Iterator[tuple[Row, str, str]]:
        """Yield the rows of a table with the path and the split of their images; report the others as problems."""
        readable: dict[str, bool] = {}
        for row in table.table.rows:
            name = table.table.place(row.line)
            try:
                path, split = self._image(table, row)
            except AnnotationFault as fault:
                self.problems.append(Problem(name, fault.reason, fault.kind))
                continue
            if path not in readable:
                readable[path] = self.image_size(path) is not None
                if not readable[path]:
                    self.problems.append(Problem(path, "the image cannot be read", UNREADABLE_IMAGE))
            if readable[path]:
                yield row, path, split

    def _image(self, table: ImageTable, row: Row) -> tuple[str, str]:
        """Return path and split of a row's image. Raise `AnnotationFault` if there is none."""
        reference, split = row.cell(table.image), row.cell(table.split_column)
        if not reference:
            raise AnnotationFault(NO_IMAGE, "names no image")
        if split and not split_named(split):
            shown = printable(split)
            raise AnnotationFault(UNKNOWN_SPLIT, f"is in a split '{shown}', which is not train, validation or test")
        named = split_named(split) or table.split
        path = self.index.find(reference, posixpath.dirname(table.table.path), named)
        return path, named or folder_split(path)

    def note_unlisted(self, used: set[str], tables: Sequence[ImageTable]) -> None:
        """Add a note about images next to the used ones that no row of the tables names."""
        folders = {posixpath.dirname(path) for path in used}
        listed_images = {self._found(table, row) for table in tables for row in table.table.rows}
        others = [path for path in self.index.paths if posixpath.dirname(path) in folders]
        unlisted = [path for path in others if path not in listed_images]
        if unlisted:
            self.notes.append(f"{len(unlisted):,} images are in no row of a table, and left out: {_first(unlisted)}.")

    def _found(self, table: ImageTable, row: Row) -> str | None:
        try:
            return self._image(table, row)[0]
        except AnnotationFault:
            return None


def image_table(table: Table, index: ImageIndex) -> ImageTable | None:
    """Return a table with its columns of images and splits; None if no column leads to images."""
    image, others = _image_columns(table, index)
    if image is None:
        return None
    free = [column for column in range(len(table.titles)) if column != image and column not in others]
    split = _split_column(table, free)
    columns = tuple(column for column in free if column != split)
    return ImageTable(table, image, split, split_of(table.path), columns, tuple(others))


def _image_columns(table: Table, index: ImageIndex) -> tuple[int | None, list[int]]:
    """Return the column of images, and further ones.

    Columns of file names with image extensions come first, then those with the name of such a column, then those that
    lead to the most images: a column of ids, rather than one of numbers that happen to be names of files.
    """
    samples = {column: _sample(table, column) for column in range(len(table.titles))}
    counts = {column: _distinct_images(table, index, cells) for column, cells in samples.items()}
    found = [column for column, cells in samples.items() if cells and counts[column] >= MIN_FOUND * len({*cells})]
    if not found:
        return None, []
    files = [column for column in found if any(map(index.is_sample, samples[column]))]
    if files:
        return files[0], files[1:]
    named = [column for column in found if head(table.titles[column]) in PATH_NAMES] if table.header else []
    return max(named or found, key=lambda column: counts[column]), []


def _sample(table: Table, column: int) -> list[str]:
    """Return some cells of a column that are not empty, from all parts of the table."""
    step = max(1, len(table.rows) // SAMPLE_ROWS)
    return [cell for row in table.rows[::step] if (cell := row.cell(column))]


def _distinct_images(table: Table, index: ImageIndex, cells: Sequence[str]) -> int:
    folder = posixpath.dirname(table.path)

    def find(cell: str) -> str | None:
        try:
            return index.find(cell, folder)
        except AnnotationFault:
            return None

    return len({find(cell) for cell in {*cells}} - {None})


def _split_column(table: Table, columns: Sequence[int]) -> int | None:
    """Return the column of splits: its name says so, or all of its cells are splits, of more than one kind."""
    for column in columns:
        values = {cell for cell in table.column(column) if cell}
        by_name = table.header and head(table.titles[column]) in SPLIT_NAMES
        if by_name and any(map(split_named, values)):
            return column
        if values and all(map(split_named, values)) and len(columns) > 1:
            return column
    return None


def choose(tables: Sequence[ImageTable], read: Callable[[ImageTable], Targets | None]) -> tuple[list[ImageTable], Any]:
    """Return the tables with the targets of a task that have the most rows, and what `read` says of their columns.

    Tables with the same titles belong together, such as those of several splits. The largest one decides what the
    columns hold, because in a small one, numbers may look like classes.
    """
    groups: dict[tuple[str, ...], list[ImageTable]] = {}
    for table in tables:
        groups.setdefault(table.table.titles, []).append(table)
    found = [(group, columns) for group in groups.values() if (columns := read(max(group, key=_size)))]
    return max(found, key=lambda pair: sum(map(_size, pair[0])), default=([], None))


def _size(table: ImageTable) -> int:
    return len(table.table.rows)


def unused_note(tables: Sequence[ImageTable], used: Sequence[ImageTable]) -> list[str]:
    """Return a sentence about tables of images that are not used; nothing if there are none."""
    others = [table.table.path for table in tables if table not in used]
    return [f"Not used: {_first(others)}, which has other columns."] if others else []


def _first(paths: Sequence[str]) -> str:
    return listed(map(printable, paths), 3, count=False)
