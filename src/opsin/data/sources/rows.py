"""Tables whose rows are several inputs and their answer: paths of files, texts and numbers."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from opsin.base.errors import DataError
from opsin.base.path_words import SIGNAL_ENDINGS, has_sample_ending, split_named, split_of_file
from opsin.data.file_io import read_file
from opsin.data.items import MISSING, UNLABELLED, UNSPLIT, FileProblem, Item, ItemError, printable
from opsin.data.sources.file_tree import FileTree
from opsin.data.sources.json_table import JSON, JSON_LINES, MAX_TABLES, any_table, outer_tables
from opsin.data.sources.names import quoted_list
from opsin.data.sources.texts import OTHER_LABEL_NAMES
from opsin.inputs.registry import FILE_KINDS, IMAGE, NUMBER, SEVERAL, SIGNAL, TEXT, kind_of_names
from opsin.tasks.problems import AnnotationFault
from opsin.tasks.registry import CLASSIFICATION, REGRESSION
from opsin.tasks.tables.names import LABEL_NAMES, SPLIT_NAMES, head, most_likely
from opsin.tasks.tables.table import Table
from opsin.tasks.text import decode, number

QUESTION_NAMES, ANSWER = ("question", "query"), "answer"
"""Names of columns of texts that, next to one of images, make a table one of several inputs without --inputs."""

BEGINNING = 2**20
"""Bytes of a table in which its titles occur."""

MAX_NUMBERED_CLASSES, MAX_CLASSES_SHARE = 20, 0.05
"""Answers that are numbers are quantities if they have more different values, also as a share of the rows."""

SAMPLE_ROWS = 500


@dataclass(frozen=True)
class Rows:
    """A `Source` of rows. `cells[n]` are those of `items[n]` in the order of `columns`, whose kinds are `kinds`.

    Cells of files are the paths in the tree. If the answers are numbers, `quantity` is what they measure, and `numbers`
    are those of the items, whose labels are empty.
    """

    name: str
    items: Sequence[Item]
    problems: Sequence[FileProblem]
    tree: FileTree
    columns: Sequence[str]
    kinds: Sequence[str]
    cells: Sequence[tuple[str, ...]]
    notes: Sequence[str] = ()
    quantity: str = ""
    numbers: Sequence[float] = ()
    kind: str = SEVERAL

    def read(self, index: int) -> bytes:
        """Return the row as a JSON object."""
        return json.dumps(dict(zip(self.columns, self.cells[index], strict=True))).encode()

    def stamp(self, index: int) -> str:
        return ""

    def as_kinds(self, kinds: Sequence[str]) -> Rows:
        """Return the rows with the kinds that a model takes. Raise `DataError` if paths are not paths there."""
        for name, kind, own in zip(self.columns, kinds, self.kinds, strict=True):
            if kind != own and (kind in FILE_KINDS or own in FILE_KINDS):
                raise DataError(
                    f"{self.name}: the column '{name}' holds cells of the kind {own}, the model takes {kind}"
                )
        return replace(self, kinds=kinds)

    def content(self, column: int, cell: str) -> bytes:
        """Return the bytes of a cell: those of its file, or of its text. Raise `DataError` if there is no such file."""
        if self.kinds[column] not in FILE_KINDS:
            return cell.encode("utf-8", "surrogateescape")
        if cell.startswith(("/", "../")) or cell == "..":
            reason = "leads out of the folder of the table; give a path inside it"
            raise ItemError(f"{printable(cell)} {reason}", FileProblem(printable(cell), reason, MISSING))
        return self.tree.read(cell)


def rows_in(path: str, beginning: bytes) -> bool:
    """Return whether a file begins like a list of objects in JSON."""
    return path.lower().endswith(JSON) and beginning.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")


def open_rows(tree: FileTree, inputs: Sequence[str], target: Sequence[str], task: str | None = None) -> Rows | None:
    """Return the rows of the tables of a folder or an archive, whose columns `inputs` are inputs.

    Without `inputs`, tables of images with a question and an answer are taken, and None is returned for others.
    Several tables belong together if they are named after splits. Raise `DataError` if a column is not there.
    """
    paths = outer_tables(tree.paths, JSON_LINES + JSON, None if inputs else MAX_TABLES)
    tables = [table for path in paths if (table := _table(tree, path, is_plain=not inputs))]
    named = [table for table in tables if split_of_file(table.path)]
    tables = named if len(named) > 1 else tables[:1] if inputs else [table for table in tables if _is_plain(table)][:1]
    if not tables or (not inputs and not all(map(_is_plain, tables))):
        if inputs:
            raise DataError(f"{tree.name} holds no table with the columns {quoted_list(inputs, 5)}")
        return None
    if task not in (None, CLASSIFICATION, REGRESSION):
        raise DataError(
            f"{tree.name}: rows of several inputs are for {CLASSIFICATION} and {REGRESSION}, not for {task}"
        )
    return _rows_of(tree, tables, inputs or _plain_inputs(tables[0]), target, task)


def _rows_of(
    tree: FileTree, tables: Sequence[Table], inputs: Sequence[str], target: Sequence[str], task: str | None
) -> Rows:
    items, problems, cells = list[Item](), list[FileProblem](), list[tuple[str, ...]]()
    numbers = list[float]()
    names = tuple(tables[0].titles[_find(tables[0], name)] for name in inputs)
    label = _label(tables[0], names, target)
    kinds = [_kind([cell for table in tables for cell in table.column(_find(table, name))]) for name in names]
    answers = [cell for table in tables for cell in table.column(_find(table, label))]
    measures = task == REGRESSION or (task is None and _are_quantities(answers))
    for table in tables:
        columns, answer = [_find(table, name) for name in names], _find(table, label)
        split = next((c for c, title in enumerate(table.titles) if head(title) in SPLIT_NAMES), None)
        default = split_of_file(table.path) if len(tables) > 1 else ""
        folder = posixpath.dirname(table.path)
        for row in table.rows:
            name = printable(_place(table, row.line))
            if not row.cell(answer):
                problems.append(FileProblem(name, f"without a value in the column '{printable(label)}'", UNLABELLED))
                continue
            if measures and number(row.cell(answer)) != number(row.cell(answer)):  # NaN
                reason = f"'{printable(row.cell(answer)[:40])}' in the column '{printable(label)}' is no number"
                problems.append(FileProblem(name, reason, UNLABELLED))
                continue
            if measures:
                numbers.append(number(row.cell(answer)))
            shown = "" if measures else printable(row.cell(answer))
            items.append(Item(name, shown, split_named(row.cell(split)) or default or UNSPLIT))
            values = zip(columns, kinds, strict=True)
            cells.append(tuple(_cell(row.cell(column), kind, folder) for column, kind in values))
    described = ", ".join(f"'{printable(name)}' ({kind})" for name, kind in zip(names, kinds, strict=True))
    note = f"Inputs are the columns {described}; answers are in '{printable(label)}'."
    quantity = printable(label) if measures else ""
    return Rows(tree.name, items, problems, tree, names, kinds, cells, [note], quantity, numbers)


def _are_quantities(answers: Sequence[str]) -> bool:
    """Return whether answers are numbers, and so many different ones that they are no names of classes."""
    return _kind(answers) == NUMBER and len({*answers}) > max(MAX_NUMBERED_CLASSES, MAX_CLASSES_SHARE * len(answers))


def _cell(cell: str, kind: str, folder: str) -> str:
    if kind not in FILE_KINDS or not cell:
        return cell
    return posixpath.normpath(posixpath.join(folder, cell.replace("\\", "/")))


def _place(table: Table, line: int) -> str:
    return f"{table.path}, row {line}" if table.path.lower().endswith(JSON) else table.place(line)


def _table(tree: FileTree, path: str, is_plain: bool) -> Table | None:
    """Return a table of several columns, or None. Only one with questions and answers is of use if it `is_plain`."""
    try:
        data = tree.read(path)
        if is_plain and not _names_questions(data):
            return None
        table = any_table(path, data)
    except (AnnotationFault, DataError):
        return None
    return table if table and len(table.titles) > 1 else None


def _names_questions(data: bytes) -> bool:
    """Return whether a table may have the titles of `_is_plain`, without parsing it: annotations can be large."""
    beginning = decode(data[:BEGINNING]).lower()
    return ANSWER in beginning and any(name in beginning for name in QUESTION_NAMES)


def _find(table: Table, name: str) -> int:
    """Return the number of a column. Raise `DataError`, which lists the columns, if there is none of this name."""
    for match in (lambda title: title == name, lambda title: head(title) == head(name)):
        for column, title in enumerate(table.titles):
            if match(title):
                return column
    titles = quoted_list(map(printable, table.titles), 12)
    raise DataError(f"{printable(table.path)} has no column '{printable(name)}', only {titles}")


def _label(table: Table, inputs: Sequence[str], target: Sequence[str]) -> str:
    """Return the title of the column of answers: the one that is asked for, or the one with a usual name."""
    if len(target) > 1:
        raise DataError(f"rows have one answer, not {len(target)}; give one column by --target")
    if target:
        return table.titles[_find(table, target[0])]
    rest = [title for title in table.titles if title not in inputs and head(title) not in SPLIT_NAMES]
    place = most_likely([head(title) for title in rest], (*LABEL_NAMES, *OTHER_LABEL_NAMES))
    if place is not None:
        return rest[place]
    if len(rest) == 1:
        return rest[0]
    raise DataError(f"{printable(table.path)}: which column holds the answers? Give it by --target")


def _kind(values: Sequence[str]) -> str:
    """Return the kind of a column by what most of its cells are."""
    filled = [value for value in values if value]
    sample = filled[:: max(1, len(filled) // SAMPLE_ROWS)]
    half = len(sample) / 2
    if sum(map(has_sample_ending, sample)) > half:
        return kind_of_names(sample)
    if sum(value.lower().endswith(SIGNAL_ENDINGS) for value in sample) > half:
        return SIGNAL
    return NUMBER if sample and sum(number(value) == number(value) for value in sample) > half else TEXT


def _plain_inputs(table: Table) -> list[str]:
    """Return the column of images and that of questions; fewer if the table has none."""
    images = [title for column, title in enumerate(table.titles) if _kind(table.column(column)) == IMAGE]
    questions = [title for title in table.titles if head(title) in QUESTION_NAMES]
    return [*images, *questions]


def _is_plain(table: Table) -> bool:
    inputs = _plain_inputs(table)
    return len(inputs) == 2 and head(inputs[1]) in QUESTION_NAMES and any(head(t) == ANSWER for t in table.titles)


def table_rows(path: Path, names: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Return the name of each row of a table, and its cells in the columns with these names.

    Columns that the table lacks are left out. Raise `DataError` if the file is no table.
    """
    try:
        table = any_table(str(path), read_file(path, str(path)))
    except AnnotationFault as fault:
        raise DataError(f"{path} {fault}") from None
    if table is None:
        raise DataError(f"{path} holds no rows")
    columns = {name: _find(table, name) for name in names if any(head(title) == head(name) for title in table.titles)}
    return [
        (_place(table, row.line), {name: row.cell(column) for name, column in columns.items()}) for row in table.rows
    ]
