"""Trees of files whose samples are no images, as the readers of annotations take them.

Recordings and signals are files that a table names. Texts are cells: `TextRows` makes a file of each, and of the table
one that names these files. So a reader needs no case for them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from opsin.base.errors import DataError
from opsin.base.path_words import has_image_ending
from opsin.data.items import FileProblem, printable
from opsin.data.sources.file_tree import FileTree
from opsin.data.sources.json_table import outer_tables
from opsin.data.sources.texts import parsed_table, text_column
from opsin.inputs.registry import ENDINGS, SIGNAL, SOUND, TEXT
from opsin.tasks.tables.table import Table, is_table


@dataclass(frozen=True)
class SampleTree:
    """The files of `tree`, of which those with `sample_endings` are samples of another `kind` than images."""

    tree: FileTree
    kind: str
    paths: Sequence[str]

    @property
    def name(self) -> str:
        return self.tree.name

    @property
    def problems(self) -> Sequence[FileProblem]:
        return self.tree.problems

    @property
    def notes(self) -> Sequence[str]:
        return self.tree.notes

    @property
    def sample_endings(self) -> tuple[str, ...]:
        return ENDINGS[self.kind]

    def read(self, path: str) -> bytes:
        return self.tree.read(path)

    def stamp(self, path: str) -> str:
        return self.tree.stamp(path)

    def shown(self, path: str) -> str:
        """Return the name of a sample in messages."""
        return printable(path)


class TextRows:
    """The texts in the rows of tables as files "reviews.csv, line 3.txt", and tables in which these names replace them.

    A row stands in the same line as before, so that messages name the right one.
    """

    kind, sample_endings = TEXT, ENDINGS[TEXT]

    def __init__(self, tree: FileTree, tables: Sequence[tuple[str, Table, int]]) -> None:
        """`tables` are those of `tree` with their paths and the columns of texts."""
        self.name, self.problems, self.notes = tree.name, tree.problems, tree.notes
        self._contents: dict[str, bytes] = {}
        for path, table, column in tables:
            name = path if is_table(path) else f"{path}.csv"
            texts = {f"{path}, line {row.line}.txt": row.cell(column) for row in table.rows}
            self._contents |= {key: text.encode("utf-8", "surrogateescape") for key, text in texts.items()}
            self._contents[name] = _with_names(table, column, list(texts))
        self.paths = sorted(self._contents)

    def read(self, path: str) -> bytes:
        if path not in self._contents:
            raise DataError(f"{printable(path)}: there is no such row")
        return self._contents[path]

    def stamp(self, path: str) -> str:
        return ""

    def shown(self, path: str) -> str:
        """Return the name of a row in messages."""
        return printable(path.removesuffix(".txt"))


def _with_names(table: Table, column: int, names: Sequence[str]) -> bytes:
    """Return a table as CSV in which names replace the cells of a column, and each row ends in the line it did."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    if table.header:
        writer.writerow(table.titles)
    line = int(table.header)
    for row, name in zip(table.rows, names, strict=True):
        cells = [name if number == column else row.cell(number) for number in range(len(table.titles))]
        lines = sum(cell.count("\n") for cell in cells) + 1
        file.write("\n" * max(0, row.line - line - lines))
        line = max(row.line, line + lines)
        writer.writerow(cells)
    return file.getvalue().encode("utf-8", "surrogateescape")


def sample_tree(tree: FileTree) -> FileTree:
    """Return a tree without images as one of recordings, texts or signals; `tree` itself if it holds none of these."""
    if any(map(has_image_ending, tree.paths)):
        return tree
    if any(path.lower().endswith(ENDINGS[SOUND]) for path in tree.paths):
        return SampleTree(tree, SOUND, tree.paths)
    return _text_rows(tree) or _signals(tree) or _text_files(tree) or tree


def _text_rows(tree: FileTree) -> TextRows | None:
    found = [(path, parsed_table(tree, path)) for path in outer_tables(tree.paths)]
    columns = [(path, table, text_column(table)) for path, table in found if table]
    tables = [(path, table, column) for path, table, column in columns if column is not None]
    return TextRows(tree, tables) if tables else None


def _signals(tree: FileTree) -> SampleTree | None:
    """Return the tree without the tables that are signals themselves, if outer tables name signals in folders."""
    signals = [path for path in tree.paths if path.lower().endswith(ENDINGS[SIGNAL])]
    tables = [path for path in signals if "/" not in path and is_table(path)]
    samples = [path for path in signals if path not in tables]
    return SampleTree(tree, SIGNAL, [*tables, *samples]) if tables and samples else None


def _text_files(tree: FileTree) -> SampleTree | None:
    has_texts = any(path.lower().endswith(ENDINGS[TEXT]) for path in tree.paths)
    return SampleTree(tree, TEXT, tree.paths) if has_texts and any(map(is_table, tree.paths)) else None
