"""Find the columns of a table that hold numbers to learn: quantities, and not classes, indices or ids."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.tasks.detection.columns import find_columns as find_box_columns
from opsin.tasks.tables.images import ImageTable
from opsin.tasks.tables.names import LABEL_NAMES, LABEL_PATTERNS, MEASURES, head, name_and_unit, spaced, words

PREFERRED = ("steering", "angle", "price", "age", "count", "target", "label", "y", "value")
"""Names of the column that is meant if a table has several of numbers, the most certain first."""

MISSING = frozenset(("", "nan", "na", "n/a", "null", "none", "-", "?", "nil"))
"""Cells that say that a number is missing, in lower case."""

MAX_CLASSES = 20
"""Whole numbers with at most this many different values are classes."""

MIN_NUMBERS = 0.9
"""The share of the cells of a column of numbers that are numbers, of those that are not missing."""

MIN_REPEATS = 2
"""The images that each class has at least on average, if a column of labels holds the numbers of classes."""

NOT_QUANTITIES = re.compile(
    r"id|.*(id|uuid|index)|idx|unnamed\d*|no|nr|row|number|rank|order|fold|seed|width|height|channels|depth|"
    r"filesize|bytes|(file|image|img)(size|width|height|number|no)|date|time|timestamp\w*|datetime|year|month|day|"
    r"frame(no|number|id|index)?|md5|sha\d*|hash|zip|zipcode|phone|lat|lon|latitude|longitude|seconds|"
    r"[xy](min|max|\d)|(bbox|box|roi).*|[wh]"
)
"""Names of columns of numbers that identify an image, or describe its file or its place, in the form of `head`."""


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers, with the name and the unit in its title."""

    column: int
    name: str
    unit: str = ""


def named_columns(table: ImageTable, names: Sequence[str]) -> list[int] | None:
    """Return the columns that the user names, by their titles with or without units; None if one is missing."""
    titles = dict.fromkeys(range(len(table.table.titles)), "") | dict(enumerate(table.table.titles))
    found = [next((c for c, title in titles.items() if _is_named(title, name)), None) for name in names]
    present = [column for column in found if column is not None]
    return present if len(present) == len(names) else None


def _is_named(title: str, name: str) -> bool:
    wanted = name.strip().lower()
    return wanted in (title.lower(), name_and_unit(title)[0].lower())


def number_columns(table: ImageTable, names: Sequence[str] = ()) -> list[NumberColumn]:
    """Return the columns of numbers that the user names, or that a table has; none if it is a table of classes."""
    if names:
        columns = named_columns(table, names) or []
        if not all(np.isfinite(values_of(table, column)).any() for column in columns):
            return []
        return [_number_column(table, column) for column in columns]
    if find_box_columns(table.table.titles) is not None:
        return []
    columns = [column for column in table.columns if _is_quantity(table, column)]
    if columns and _has_class_column(table, columns):
        return []
    return [_number_column(table, column) for column in columns]


def preferred(columns: Sequence[NumberColumn]) -> list[NumberColumn]:
    """Return the column with the most certain name; all of them if none has a known name."""
    ranked = sorted((_rank(column.name), place) for place, column in enumerate(columns))
    if len(columns) < 2 or ranked[0][0] == len(PREFERRED):
        return list(columns)
    return [columns[ranked[0][1]]]


def _rank(name: str) -> int:
    parts = {*words(name), head(name)}
    return next((rank for rank, known in enumerate(PREFERRED) if known in parts), len(PREFERRED))


def _number_column(table: ImageTable, column: int) -> NumberColumn:
    if not table.table.header:
        return NumberColumn(column, "value" if len(table.columns) == 1 else table.table.titles[column])
    return NumberColumn(column, *name_and_unit(table.table.titles[column]))


def values_of(table: ImageTable, column: int) -> NDArray[np.float64]:
    """Return the numbers in a column; NaN for other cells, and nothing for missing ones."""
    cells = [cell for cell in table.table.column(column) if cell.lower() not in MISSING]
    return np.array([table.table.number(cell) for cell in cells])


def _are_numbers(table: ImageTable, column: int) -> bool:
    values = values_of(table, column)
    return len(values) > 0 and bool(np.isfinite(values).mean() >= MIN_NUMBERS)


def _is_quantity(table: ImageTable, column: int) -> bool:
    """Return whether a column holds numbers that are neither classes nor an index nor an id."""
    name = head(name_and_unit(table.table.titles[column])[0]) if table.table.header else ""
    if NOT_QUANTITIES.fullmatch(name) or not _are_numbers(table, column):
        return False
    values = values_of(table, column)
    values = values[np.isfinite(values)]
    distinct = np.unique(values)
    if len(distinct) < 2:
        return False
    if (values != np.rint(values)).any():
        return True
    if len(distinct) <= MAX_CLASSES or _is_index(values):
        return False
    return name not in LABEL_NAMES or not _are_classes(distinct, values)


def _is_index(values: NDArray[np.float64]) -> bool:
    """Return whether the numbers count the rows."""
    return bool((np.diff(values) == 1).all())


def _are_classes(distinct: NDArray[np.float64], values: NDArray[np.float64]) -> bool:
    """Return whether the numbers are those of classes: all from 0 or 1 on, several images of each."""
    complete = distinct[0] in (0, 1) and bool((np.diff(distinct) == 1).all())
    return complete and len(values) >= MIN_REPEATS * len(distinct)


def _has_class_column(table: ImageTable, numbers: Sequence[int]) -> bool:
    """Return whether another column holds the classes of the images, so that the numbers only accompany it.

    It has the name of such a column, or it is the only one of text, and the numbers are fractions or measures.
    """
    titles = {column: table.table.titles[column] for column in table.columns} if table.table.header else {}
    others = {column: title for column, title in titles.items() if column not in numbers}
    if any(head(title) in LABEL_NAMES or LABEL_PATTERNS.match(spaced(title)) for title in others.values()):
        return True
    texts = [column for column, title in others.items() if _are_classes_of_text(table, column, title)]
    return len(texts) == 1 and all(_accompanies(table, column) for column in numbers)


def _accompanies(table: ImageTable, column: int) -> bool:
    cells = [cell for cell in table.table.column(column) if cell]
    return bool(MEASURES.fullmatch(head(table.table.titles[column]))) or all("." in cell for cell in cells)


def _are_classes_of_text(table: ImageTable, column: int, title: str) -> bool:
    """Return whether a column holds a few different texts."""
    cells = [cell for cell in table.table.column(column) if cell]
    repeated = len(cells) >= MIN_REPEATS * len({*cells})
    return bool(cells) and repeated and not MEASURES.fullmatch(head(title)) and not _are_numbers(table, column)
