"""Find the columns of a table that give images several labels: a column of lists, or a column for each label."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from opsin.tasks.tables.images import ImageTable
from opsin.tasks.tables.names import LABEL_NAMES, PLAIN_MEASURES, head

SEPARATORS = ";|, "
LIST_NAMES = frozenset(
    "labels tags classes categories targets attributes genres findings findinglabels keywords".split()
)
"""Names of columns that hold lists of labels, in the form of `head`."""

BRACKETS = re.compile(r"[\[({](.*)[\])}]", re.DOTALL)

YES = frozenset(("1", "1.0", "true", "yes", "y", "x"))
NO = frozenset(("0", "0.0", "false", "no", "n", ""))
MINUS = frozenset(("-1", "-1.0"))
"""Cells of a column for a label, in lower case. -1 is "no" if there is no 0 (CelebA), and otherwise "uncertain"."""

MIN_SHARE = 0.05
"""The minimum share of the rows with several labels for a column to be one of lists."""

MIN_SEVERAL = 0.1
"""The minimum share of the rows with several ones for columns of zeros and ones not to be those of classes."""

MIN_COMBINED = 1 / 3
"""The share of the labels that occur in different lists; parts of one name, such as "tench, Tinca", do not."""


@dataclass(frozen=True)
class ListColumn:
    """A column of lists of labels, separated by `separator`."""

    column: int
    separator: str

    def labels(self, cell: str) -> list[str]:
        """Return the labels in a cell, each once."""
        return split_list(cell, self.separator)


@dataclass(frozen=True)
class LabelColumns:
    """A column of zeros and ones for each label; `columns` are their numbers, `names` the labels.

    `zeros` says whether there are zeros, so that -1 means that a label is uncertain.
    """

    columns: tuple[int, ...]
    names: tuple[str, ...]
    zeros: bool = True


def split_list(cell: str, separator: str) -> list[str]:
    """Return the parts of a list in a cell, without quotes and brackets: "['a', 'b']" → a, b."""
    match = BRACKETS.fullmatch(cell)
    parts = (part.strip().strip("'\"").strip() for part in (match[1] if match else cell).split(separator))
    return list(dict.fromkeys(part for part in parts if part))


def list_column(table: ImageTable, name: str = "") -> ListColumn | None:
    """Return the column of lists of labels, or the one that the user names; None if there is none."""
    columns = [column for column in table.columns if not name or table.table.titles[column].lower() == name.lower()]
    columns.sort(key=lambda column: not _is_label_name(_title(table, column)))
    for column in columns:
        cells = [cell for cell in table.table.column(column) if cell]
        separators = [each for each in SEPARATORS if _are_lists(cells, each, _title(table, column))]
        if separators:
            return ListColumn(column, separators[0])
        if name and cells:
            return ListColumn(column, SEPARATORS[0])
    return None


def _title(table: ImageTable, column: int) -> str:
    return head(table.table.titles[column]) if table.table.header else ""


def _is_label_name(title: str) -> bool:
    return title in LIST_NAMES or title in LABEL_NAMES


def _are_lists(cells: Sequence[str], separator: str, title: str) -> bool:
    """Return whether enough cells are lists, of labels that occur in different combinations.

    Commas and spaces also occur in names of classes and in texts; they separate labels only in columns called so.
    """
    lists = [tuple(split_list(cell, separator)) for cell in cells]
    several = sum(len(labels) > 1 for labels in lists)
    is_known = separator in ";|" or (_is_label_name(title) if separator == "," else title in LIST_NAMES)
    if not lists or several < max(1, MIN_SHARE * len(lists)) or not is_known:
        return False
    combinations = Counter(label for labels in {*lists} for label in labels)
    occurrences = Counter(label for labels in lists for label in labels)
    combined = sum(count > 1 for count in combinations.values())
    repeated = sum(count > 1 for count in occurrences.values())
    return combined >= MIN_COMBINED * len(combinations) and 2 * repeated >= len(occurrences)


def label_columns(table: ImageTable, names: Sequence[str] = ()) -> LabelColumns | None:
    """Return the columns of zeros and ones that are labels, or those that the user names; None if there are none.

    Columns of which nearly every row has exactly one are those of classes.
    """
    titles = table.table.titles
    wanted = {name.lower() for name in names}
    columns = [
        column for column in table.columns
        if (titles[column].lower() in wanted if names else not PLAIN_MEASURES.fullmatch(head(titles[column])))
        and _is_binary(table.table.column(column))
    ]  # fmt: skip
    occurring = [column for column in columns if any(cell.lower() in YES for cell in table.table.column(column))]
    if not table.table.header or len(occurring) < (1 if names else 2) or len(columns) < len(wanted):
        return None
    values = {cell.lower() for column in columns for cell in table.table.column(column)}
    result = LabelColumns(tuple(columns), tuple(titles[column] for column in columns), bool(values & (NO - {""})))
    return result if names or _several_labels(table, result) else None


def _is_binary(cells: Sequence[str]) -> bool:
    values = {cell.lower() for cell in cells}
    return values <= YES | NO | MINUS and values != {""}


def _several_labels(table: ImageTable, labels: LabelColumns) -> bool:
    """Return whether rows have several labels, or most of them none."""
    counts = [sum(row.cell(column).lower() in YES for column in labels.columns) for row in table.table.rows]
    several, single = sum(count > 1 for count in counts), counts.count(1)
    return several >= MIN_SEVERAL * len(counts) or 2 * single <= len(counts)
