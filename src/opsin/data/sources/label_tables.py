"""Match the rows of label tables with the files on disk or in an archive."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass

from opsin.base.concurrency import lazy
from opsin.base.errors import DataError
from opsin.base.path_words import has_sample_ending
from opsin.data.items import REPEATED, UNSPLIT, FileProblem, Item, printable
from opsin.data.sources.columns import MAX_SAMPLE_ROWS
from opsin.data.sources.layout import Listing
from opsin.data.sources.names import is_ignored, quoted_list, split_mentioned, split_named
from opsin.data.sources.path_resolver import FileNameIndex, PathResolver, Store
from opsin.data.sources.table import TABLE_ENDINGS, Row, read_table

SUBMISSION_WORDS = ("submission", "submit")
"""Words in the names of tables that only show the format of submissions to a competition."""


@dataclass(frozen=True)
class TableFile:
    """The content of a table, its `name` in messages, and the folder that its paths are relative to."""

    name: str
    folder: str
    data: bytes

    @property
    def split(self) -> str | None:
        """The split that the table is named after: train.csv, val_labels.csv, test/labels.csv."""
        stem = posixpath.basename(self.name).rpartition(".")[0]
        return split_named(stem) or split_mentioned(stem) or split_named(posixpath.basename(self.folder))


LabelTable = tuple[TableFile, list[Row], list[FileProblem]]
"""A table, its rows, and the problems of unusable rows."""


def tables_in(paths: Sequence[str]) -> list[str]:
    """Return the tables at the outermost level that has any; several folders only if named after splits."""
    tables = [
        path for path in paths if path.lower().endswith(TABLE_ENDINGS) and not is_ignored(posixpath.basename(path))
    ]
    depth = min((path.count("/") for path in tables), default=0)
    tables = [path for path in tables if path.count("/") == depth]
    folders = {posixpath.dirname(path) for path in tables}
    if len(folders) > 1 and not all(split_named(posixpath.basename(folder)) for folder in folders):
        return []
    return tables


def is_submission(path: str) -> bool:
    """Return whether a table only shows the format of submissions to a competition."""
    return any(word in posixpath.basename(path).lower() for word in SUBMISSION_WORDS)


class LabelTables:
    """Tables of the images in a `store` at `where`. The names of the items consist of `prefix` and path.

    Unless it `needs_labels`, images may have none.
    """

    def __init__(
        self, tables: Sequence[TableFile], store: Store, where: str = "", prefix: str = "", needs_labels: bool = True
    ) -> None:
        self._tables, self._store, self._where, self._prefix = tables, store, where, prefix
        self._needs_labels = needs_labels
        self._base = posixpath.commonpath([table.folder for table in tables]) if tables else ""

    @lazy
    def _file_names(self) -> FileNameIndex:
        return FileNameIndex(self._store.files)

    def arrange(self) -> Listing:
        """Return the items of the only table, or of the tables that are named after splits.

        The listing is empty if none of several tables can be chosen. Raise `DataError` if the only table is invalid.
        """
        listing = Listing()
        tables = self._label_tables(listing.notes)
        items: dict[int, Item] = {}
        for table, rows, problems in tables:
            default_split = table.split if len(tables) > 1 else None
            listing.problems.extend(problems)
            resolver = self._resolver(table, [row.path for row in rows])
            for row in rows:
                self._add(listing, items, table, row, row.split or default_split or UNSPLIT, resolver)
        return listing

    def _add(
        self, listing: Listing, items: dict[int, Item], table: TableFile, row: Row, split: str, resolver: PathResolver
    ) -> None:
        match = resolver.find(row.path, split)
        if isinstance(match, FileProblem):
            listing.problems.append(FileProblem(self._prefix + match.name, match.reason, match.kind))
            return
        position, file = match
        name = posixpath.relpath(file, self._base or ".") if file else posixpath.join(self._within(table), row.path)
        item = Item(self._prefix + printable(name), row.label, split, row.group)
        previous = items.setdefault(position, item)
        if previous is item:
            listing.items.append(item)
            listing.positions.append(position)
        elif previous.label != item.label:
            reason = (
                f"'{item.label}' in line {row.line} of {table.name}, but '{previous.label}' before; the first counts"
            )
            listing.problems.append(FileProblem(self._prefix + printable(row.path), reason, REPEATED))

    def _within(self, table: TableFile) -> str:
        """Return the folder of a table, relative to the common folder of all tables."""
        return "" if table.folder == self._base else posixpath.relpath(table.folder, self._base or ".")

    def _resolver(self, table: TableFile, paths: Sequence[str]) -> PathResolver:
        return PathResolver(self._store, lambda: self._file_names, paths, table.folder, table.split or "")

    def _read(self, table: TableFile) -> tuple[list[Row], list[FileProblem]]:
        def count(values: Sequence[str]) -> int:
            sample = list(dict.fromkeys(values))[:MAX_SAMPLE_ROWS]
            resolver = self._resolver(table, sample)
            return resolver.found_directly or len(
                {f for f in map(resolver.find, sample) if not isinstance(f, FileProblem)}
            )

        return read_table(table.data, table.name, count, self._needs_labels)

    def _label_tables(self, notes: list[str]) -> list[LabelTable]:
        """Read the tables with labels: one, or one for each split. Add a note about the others to `notes`."""
        if len(self._tables) == 1:
            return [(self._tables[0], *self._read(self._tables[0]))]
        usable: list[LabelTable] = []
        for table in self._tables:
            try:
                rows, problems = self._read(table)
            except DataError:
                rows, problems = [], []
            if rows:
                usable.append((table, rows, problems))
        usable = self._choose(usable) if len(usable) > 1 else usable
        without = [table.name for table in self._tables if all(table is not entry[0] for entry in usable)]
        if usable and without:
            what = "Not used, because they hold" if len(without) > 1 else "Not used, because it holds"
            notes.append(
                f"{what} no labels of images for training or measuring: {quoted_list(map(printable, without))}."
            )
        return usable

    def _choose(self, usable: list[LabelTable]) -> list[LabelTable]:
        """Choose the tables that are named after splits, or the one that is named after labels."""
        splits = [table.split for table, _, _ in usable if table.split]
        if splits and len(set(splits)) == len(splits):
            return [entry for entry in usable if entry[0].split]
        labels = [entry for entry in usable if "label" in entry[0].name.lower()]
        if len(labels) == 1:
            return labels
        names = quoted_list(printable(table.name) for table, _, _ in usable)
        raise DataError(
            f"{self._where} holds {len(usable)} tables of labels ({names}); give the path of one of them, or keep "
            "only one of them"
        )


def unlisted(files: Sequence[str], listed_files: Set[str], folder: str = "") -> str:
    """Return a sentence about the images among the `files` that no table names; "" if there are none."""
    unnamed = [file for file in files if file not in listed_files and has_sample_ending(file)]
    if not unnamed:
        return ""
    inside = [file.removeprefix(folder + "/") if folder else file for file in unnamed]
    tops = Counter(file.split("/")[0] + "/" if "/" in file else "next to the table" for file in inside)
    where = ", ".join(f"{printable(top)} ({count:,})" for top, count in tops.most_common(5)) + (
        ", …" if len(tops) > 5 else ""
    )
    number = f"{len(unnamed):,} image{'s' if len(unnamed) > 1 else ''}"
    return f"Without a label, because no table lists them: {number}, left out: {where}."


def no_images_message(table: str, problems: Sequence[FileProblem]) -> str:
    """Return the message for a table that leads to no image."""
    first = f": {problems[0].name}, {problems[0].reason}" if problems else ""
    return f"{table} lists no existing image{first}; give a path, relative to the table, and a label in each line"
