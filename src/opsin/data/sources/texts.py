"""Tables of texts and their labels: CSV, TSV, or a JSON object in each line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from opsin.base.path_words import has_sample_ending, split_named, split_of_file
from opsin.data.items import UNLABELLED, UNSPLIT, FileProblem, Item, printable
from opsin.data.sources.file_tree import FileTree
from opsin.data.sources.json_table import JSON_LINES, json_lines, outer_tables
from opsin.inputs.registry import TEXT
from opsin.tasks.problems import AnnotationFault
from opsin.tasks.tables.names import LABEL_NAMES, SPLIT_NAMES, head, most_likely
from opsin.tasks.tables.table import Table, parse
from opsin.tasks.text import number

TEXT_NAMES = (
    "text sentence review comment message content body tweet document question utterance title headline description "
    "phrase input"
).split()
"""Names of columns of texts in lower case without separators, most likely first."""

OTHER_LABEL_NAMES = ("sentiment", "polarity", "stars", "rating", "topic", "intent", "language", "answer", "spam")
"""Names of columns of labels besides those of images."""

MIN_WORDS = 3.0
"""Words per cell, on average, of a column that is taken for one of texts without such a name."""

MIN_NAMED_WORDS = 1.5
SAMPLE_ROWS = 200
MIN_NUMBERS, MAX_NUMBER_CLASSES = 0.9, 20
"""Labels are quantities if such a share of them are numbers, and if there are more different ones than this."""

MAX_CLASSES_SHARE = 0.5
"""A column with more different values for each row is not one of labels."""


@dataclass(frozen=True)
class Texts:
    """A `Source` of the texts in the rows of tables."""

    name: str
    items: Sequence[Item]
    problems: Sequence[FileProblem]
    texts: Sequence[str]
    notes: Sequence[str] = ()
    kind: str = TEXT

    @property
    def have_numbers(self) -> bool:
        """Whether the labels are quantities rather than classes: many different numbers, some of them fractions."""
        values = [number(item.label) for item in self.items]
        known = [value for value in values if isfinite(value)]
        are_numbers = len(known) >= MIN_NUMBERS * len(values) and len({*known}) > MAX_NUMBER_CLASSES
        return are_numbers and any(value != round(value) for value in known)

    def read(self, index: int) -> bytes:
        return self.texts[index].encode("utf-8", "surrogateescape")

    def stamp(self, index: int) -> str:
        return ""


def open_texts(tree: FileTree, columns: Sequence[str] = ()) -> Texts | None:
    """Return the texts of the tables of a folder or an archive; None if there are none, or tables of files.

    Several tables belong together if they are named after splits: train.csv and test.csv. `columns` name the column of
    the labels.
    """
    found = [(path, text_table(tree, path, columns)) for path in outer_tables(tree.paths)]
    tables = [(path, table) for path, table in found if table]
    if len(tables) > 1:
        named = [(path, table) for path, table in tables if split_of_file(path)]
        tables = named or tables[:1]
    if not tables:
        return None
    items, texts, problems = list[Item](), list[str](), list[FileProblem]()
    for path, table in tables:
        default = split_of_file(path) if len(tables) > 1 else ""
        for row in table.table.rows:
            name = printable(table.table.place(row.line))
            label = row.cell(table.label)
            if not label:
                problems.append(FileProblem(name, "without a label", UNLABELLED))
                continue
            split = split_named(row.cell(table.split)) or default or UNSPLIT
            items.append(Item(name, printable(label), split))
            texts.append(row.cell(table.text))
    used = {path for path, _ in tables}
    note = _columns_note(tables[0][1])
    others = [f"Not used: {printable(path)}." for path, table in found if table and path not in used]
    return Texts(tree.name, items, problems, texts, [note, *others])


@dataclass(frozen=True)
class TextTable:
    """A table with the numbers of its columns of texts, labels and splits."""

    table: Table
    text: int
    label: int
    split: int | None


def text_table(tree: FileTree, path: str, columns: Sequence[str] = ()) -> TextTable | None:
    """Return a table of texts with its columns; None if the file is another one."""
    table = parsed_table(tree, path)
    text = text_column(table) if table else None
    if table is None or text is None:
        return None
    heads, values = [head(title) for title in table.titles], _samples(table)
    rest = [column for column in range(len(heads)) if column != text and values[column]]
    split = next((c for c in rest if heads[c] in SPLIT_NAMES and all(map(split_named, values[c]))), None)
    label = _label_column(table, heads, [column for column in rest if column != split], columns)
    return None if label is None else TextTable(table, text, label, split)


def parsed_table(tree: FileTree, path: str) -> Table | None:
    """Return the table, or the JSON lines, in a file; None if there is none."""
    parser = json_lines if path.lower().endswith(JSON_LINES) else parse
    try:
        return parser(path, tree.read(path))
    except AnnotationFault:
        return None


def text_column(table: Table) -> int | None:
    """Return the column of texts; None if there is none, or a column of files."""
    values = _samples(table)
    names_files = any(cells and sum(map(has_sample_ending, cells)) > len(cells) // 2 for cells in values)
    if len(table.titles) < 2 or names_files:
        return None
    return _text_column([head(title) for title in table.titles], values)


def _samples(table: Table) -> list[list[str]]:
    """Return some of the cells in each column that are not empty."""
    sample = table.rows[:: max(1, len(table.rows) // SAMPLE_ROWS)]
    return [[cell for row in sample if (cell := row.cell(column))] for column in range(len(table.titles))]


def _text_column(heads: Sequence[str], values: Sequence[Sequence[str]]) -> int | None:
    """Return the column of texts: the one with such a name, or with the most words."""
    words = [sum(len(cell.split()) for cell in cells) / max(1, len(cells)) for cells in values]
    for name in TEXT_NAMES:
        if name in heads and words[heads.index(name)] >= MIN_NAMED_WORDS:
            return heads.index(name)
    best = max(range(len(heads)), key=lambda column: words[column])
    return best if words[best] >= MIN_WORDS else None


def _label_column(table: Table, heads: Sequence[str], rest: Sequence[int], columns: Sequence[str]) -> int | None:
    """Return the column of labels: the one that is asked for, that has such a name, or the only one with few values."""
    if columns:
        wanted = head(columns[0])
        return next((column for column in rest if heads[column] == wanted), None)
    place = most_likely([heads[column] for column in rest], (*LABEL_NAMES, *OTHER_LABEL_NAMES))
    if place is not None:
        return rest[place]
    few = [column for column in rest if 1 < len({*table.column(column)}) <= MAX_CLASSES_SHARE * len(table.rows)]
    return few[0] if len(few) == 1 else None


def _columns_note(table: TextTable) -> str:
    titles = table.table.titles
    return f"Texts are in the column '{printable(titles[table.text])}', labels in '{printable(titles[table.label])}'."
