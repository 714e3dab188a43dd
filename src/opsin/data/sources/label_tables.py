"""A table's rows held against the files that are there, on the disk or in an archive."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass

from opsin.base.concurrency import lazy
from opsin.base.errors import DataError
from opsin.data.items import REPEATED, UNSPLIT, FileProblem, Item, printable
from opsin.data.sources.columns import MAX_SAMPLE_ROWS
from opsin.data.sources.layout import Listing
from opsin.data.sources.names import has_image_ending, is_ignored, listed, split_mentioned, split_named
from opsin.data.sources.path_resolver import FileNameIndex, PathResolver, Store
from opsin.data.sources.table import TABLE_ENDINGS, Row, read_table

SUBMISSION_WORDS = ("submission", "submit")
"""What tables are called that show how answers are to be handed in."""


@dataclass(frozen=True)
class TableFile:
    """A table that is not read yet: the `name` that messages call it, and the folder that its paths begin in."""

    name: str
    folder: str
    data: bytes

    @property
    def split(self) -> str | None:
        """The part that the table is named after: train.csv, val_labels.csv, test/labels.csv."""
        stem = posixpath.basename(self.name).rpartition(".")[0]
        return split_named(stem) or split_mentioned(stem) or split_named(posixpath.basename(self.folder))


Read = tuple[TableFile, list[Row], list[FileProblem]]
"""A table, its rows, and what is wrong with others."""


def tables_in(paths: Sequence[str]) -> list[str]:
    """The tables in the outermost folder that has any, and in its neighbours where these are named after parts."""
    found = [
        path for path in paths if path.lower().endswith(TABLE_ENDINGS) and not is_ignored(posixpath.basename(path))
    ]
    depth = min((path.count("/") for path in found), default=0)
    found = [path for path in found if path.count("/") == depth]
    folders = {posixpath.dirname(path) for path in found}
    if len(folders) > 1 and not all(split_named(posixpath.basename(folder)) for folder in folders):
        return []
    return found


def is_submission(path: str) -> bool:
    """Whether a table only shows how answers to a competition are handed in."""
    return any(word in posixpath.basename(path).lower() for word in SUBMISSION_WORDS)


class LabelTables:
    """Tables of the images in a `store`, which is at `where`. Items are named by `prefix` and path."""

    def __init__(self, sheets: Sequence[TableFile], store: Store, where: str = "", prefix: str = "") -> None:
        self._sheets, self._store, self._where, self._prefix = sheets, store, where, prefix
        self._base = posixpath.commonpath([sheet.folder for sheet in sheets]) if sheets else ""

    @lazy
    def _catalogue(self) -> FileNameIndex:
        return FileNameIndex(self._store.files)

    def arrange(self) -> Listing:
        """The items of the one table that there is, or of those that are named after their parts.

        Without items where none of several tables can be chosen; `DataError` where the only one is no such table.
        """
        made = Listing()
        read = self._chosen(made.notes)
        taken: dict[int, Item] = {}
        for sheet, rows, problems in read:
            whole = sheet.split if len(read) > 1 else None
            made.problems.extend(problems)
            search = self._search(sheet, [row.path for row in rows])
            for row in rows:
                self._add(made, taken, sheet, row, row.split or whole or UNSPLIT, search)
        return made

    def _add(
        self, made: Listing, taken: dict[int, Item], sheet: TableFile, row: Row, split: str, search: PathResolver
    ) -> None:
        found = search.find(row.path, split)
        if isinstance(found, FileProblem):
            made.problems.append(FileProblem(self._prefix + found.name, found.reason, found.kind))
            return
        position, file = found
        name = posixpath.relpath(file, self._base or ".") if file else posixpath.join(self._within(sheet), row.path)
        item = Item(self._prefix + printable(name), row.label, split)
        earlier = taken.setdefault(position, item)
        if earlier is item:
            made.items.append(item)
            made.positions.append(position)
        elif earlier.label != item.label:
            reason = (
                f"'{item.label}' in line {row.line} of {sheet.name}, but '{earlier.label}' before; the first counts"
            )
            made.problems.append(FileProblem(self._prefix + printable(row.path), reason, REPEATED))

    def _within(self, sheet: TableFile) -> str:
        """The sheet's folder below the one around all of them."""
        return "" if sheet.folder == self._base else posixpath.relpath(sheet.folder, self._base or ".")

    def _search(self, sheet: TableFile, paths: Sequence[str]) -> PathResolver:
        return PathResolver(self._store, lambda: self._catalogue, paths, sheet.folder, sheet.split or "")

    def _read(self, sheet: TableFile) -> tuple[list[Row], list[FileProblem]]:
        def count(values: Sequence[str]) -> int:
            some = list(dict.fromkeys(values))[:MAX_SAMPLE_ROWS]
            search = self._search(sheet, some)
            return search.found_directly or len({f for f in map(search.find, some) if not isinstance(f, FileProblem)})

        return read_table(sheet.data, sheet.name, count)

    def _chosen(self, notes: list[str]) -> list[Read]:
        """The tables with labels, read: one, or one for each part; `notes` are taken of the others."""
        if len(self._sheets) == 1:
            return [(self._sheets[0], *self._read(self._sheets[0]))]
        usable: list[Read] = []
        for sheet in self._sheets:
            try:
                rows, problems = self._read(sheet)
            except DataError:
                rows, problems = [], []
            if rows:
                usable.append((sheet, rows, problems))
        usable = self._best(usable) if len(usable) > 1 else usable
        without = [sheet.name for sheet in self._sheets if all(sheet is not entry[0] for entry in usable)]
        if usable and without:
            what = "Not used, as they hold" if len(without) > 1 else "Not used, as it holds"
            notes.append(f"{what} no labels of images for training or measuring: {listed(map(printable, without))}.")
        return usable

    def _best(self, usable: list[Read]) -> list[Read]:
        """Of several tables of labels those that are named after parts, or the one that is named after labels."""
        splits = [sheet.split for sheet, _, _ in usable if sheet.split]
        if splits and len(set(splits)) == len(splits):
            return [entry for entry in usable if entry[0].split]
        labels = [entry for entry in usable if "label" in entry[0].name.lower()]
        if len(labels) == 1:
            return labels
        names = listed(printable(sheet.name) for sheet, _, _ in usable)
        raise DataError(
            f"{self._where} holds {len(usable)} tables of labels ({names}); give the path of one of them, or leave "
            "only one of them there"
        )


def unlisted(files: Sequence[str], named: Set[str], folder: str = "") -> str:
    """A sentence about the images among the `files` that are not among the `named` ones; "" where all are."""
    left = [file for file in files if file not in named and has_image_ending(file)]
    if not left:
        return ""
    inside = [file.removeprefix(folder + "/") if folder else file for file in left]
    tops = Counter(file.split("/")[0] + "/" if "/" in file else "beside the table" for file in inside)
    where = ", ".join(f"{printable(top)} ({count:,})" for top, count in tops.most_common(5)) + (
        ", …" if len(tops) > 5 else ""
    )
    number = f"{len(left):,} image{'s' if len(left) > 1 else ''}"
    return f"Without a label, as no table names them: {number}, left out: {where}."


def no_images_message(table: str, problems: Sequence[FileProblem]) -> str:
    first = f": {problems[0].name}, {problems[0].reason}" if problems else ""
    return f"{table} names no image that is there{first}; give a path, relative to the table, and a label in each line"
