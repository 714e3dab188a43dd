"""Find the columns of a table that hold paths, classes and splits, by their names or else by their content."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from opsin.base.errors import DataError
from opsin.base.path_words import has_sample_ending
from opsin.data.sources.names import quoted_list, split_named
from opsin.tasks.tables.names import (
    GROUP_NAMES,
    LABEL_NAMES,
    LABEL_PATTERNS,
    MEASURES,
    PATH_NAMES,
    PLAIN_MEASURES,
    SPLIT_NAMES,
    spaced,
)

MAX_SAMPLE_ROWS = 200
"""Rows that are examined to find the columns."""

ZERO_ONE = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}

Count = Callable[[Sequence[str]], int]
"""Returns the number of different files that these paths or names lead to."""


@dataclass(frozen=True)
class Columns:
    """The indices of the columns; `split` and `group` are None if there are no such columns.

    If each class has a column of zeros and ones, `classes` are these columns with their names, and `label` is None.
    Without `needs_labels`, rows may have no label.
    """

    path: int
    label: int | None
    split: int | None
    header: bool
    classes: dict[int, str]
    needs_labels: bool = True
    group: int | None = None

    def label_of(self, cells: Sequence[str]) -> tuple[str, str]:
        """Return the class of a row, or "" and the reason why it has none, if it needs one."""
        if self.label is not None or not self.needs_labels:
            label = cells[self.label] if self.label is not None and self.label < len(cells) else ""
            return label, "" if label or not self.needs_labels else "without a label"
        classes = [name for column, name in self.classes.items() if column < len(cells) and is_one(cells[column])]
        if len(classes) == 1:
            return classes[0], ""
        return "", f"of several classes ({quoted_list(classes, 3)})" if classes else "of no class"


def is_one(value: str) -> bool:
    return ZERO_ONE.get(value.lower(), False)


def find_columns(
    lines: Sequence[list[str]], name: str, count: Count | None = None, needs_labels: bool = True
) -> Columns:
    """Return the columns of a table whose first line may be a header. Raise `DataError` if they are ambiguous.

    Unless it `needs_labels`, only a column that is named after them gives labels.
    """
    heads = [re.sub(r"[\W_]+", "", cell.lower()) for cell in lines[0]]
    width = max(len(cells) for cells in lines[:MAX_SAMPLE_ROWS])
    if width < 2 and needs_labels:
        raise DataError(f"{name} has only one column; each line must hold the path of an image and its label")
    header, values = _header(lines, heads, width)
    columns = [column for column in range(width) if values[column]]
    path = _path(heads if header else [], values, columns, count)
    columns = [column for column in columns if column != path]
    split = _column_of(heads, SPLIT_NAMES, [c for c in columns if len(columns) > 1]) if header else None
    if split is None or not any(split_named(value) for value in values[split]):
        split = next((c for c in columns if len(columns) > 1 and all(split_named(value) for value in values[c])), None)
    columns = [column for column in columns if column != split]
    titles = lines[0] if header else []
    label = _column_of(heads, LABEL_NAMES, columns) if header else None
    if label is not None or not needs_labels:
        others = [column for column in columns if column != label]
        group = _column_of(heads, GROUP_NAMES, others) if header else None
        return Columns(path, label, split, header, {}, needs_labels, group)
    candidates = [c for c in columns if c < len(heads) and heads[c] and not PLAIN_MEASURES.fullmatch(heads[c])]
    classes = _one_hot(lines[1:MAX_SAMPLE_ROWS], titles, candidates, name)
    if not classes:
        label = _only_label(titles, heads, values, columns)
    if label is None and not classes:
        titles = titles or [f"column {number}" for number in range(1, width + 1)]
        raise DataError(
            f"{name} has the columns {quoted_list(titles)}; name the one with the images' paths 'path' and the one "
            "with the classes 'label'"
        )
    return Columns(path, label, split, header, classes)


def _header(lines: Sequence[list[str]], heads: list[str], width: int) -> tuple[bool, list[list[str]]]:
    """Return whether the first line names the columns, and the first values of each column."""
    known_names = {*PATH_NAMES, *LABEL_NAMES, *SPLIT_NAMES} & set(heads)
    header = bool(known_names) and not any(map(has_sample_ending, lines[0]))
    values = _by_column(lines[1 if header else 0 : MAX_SAMPLE_ROWS], width)
    if not header and len(lines) > 1:  # an unknown header has no image file in a column of image files
        below = _by_column(lines[1:MAX_SAMPLE_ROWS], width)
        header = any(
            _images(b) == len(b) and not has_sample_ending(v[0]) for v, b in zip(values, below, strict=True) if b
        )
        values = below if header else values
    return header, values


def _path(heads: list[str], values: list[list[str]], columns: list[int], count: Count | None) -> int:
    """Return the column of paths: by name, by image extensions, or the one that leads to the most files."""
    by_name = _column_of(heads, PATH_NAMES, columns)
    images = {column: _images(values[column]) for column in columns}
    likeliest = max(columns, key=lambda column: images[column], default=None)
    if likeliest is not None and images[likeliest] and (by_name is None or not images[by_name]):
        return likeliest
    if count and (by_name is None or not images[by_name]):
        order = sorted(columns, key=lambda column: _rank(heads, column))
        for group in ([c for c in order if _rank(heads, c) < len(PATH_NAMES)], order):
            counts = {column: count(values[column]) for column in group}
            best_column = max(group, key=lambda column: counts[column], default=None)
            if best_column is not None and counts[best_column]:
                return best_column
    return 0 if by_name is None else by_name


def _rank(heads: Sequence[str], column: int) -> int:
    head = heads[column] if column < len(heads) else ""
    return PATH_NAMES.index(head) if head in PATH_NAMES else len(PATH_NAMES)


def _one_hot(lines: Sequence[list[str]], titles: Sequence[str], columns: list[int], name: str) -> dict[int, str]:
    """Return the columns of zeros and ones that are classes, if most rows have a single one."""
    full_rows = [cells for cells in lines if len(cells) >= len(titles)]
    binary = {
        c: titles[c] for c in columns if c < len(titles) and all(cells[c].lower() in ZERO_ONE for cells in full_rows)
    }
    if len(binary) < 2 or not full_rows:
        return {}
    ones = [sum(is_one(cells[column]) for column in binary) for cells in full_rows]
    if ones.count(1) * 2 > len(ones):
        return binary
    if sum(number > 1 for number in ones) * 2 > len(ones):
        raise DataError(
            f"{name} gives most images several classes, in the columns {quoted_list(binary.values())}; "
            "give each image one class, in a column named 'label'"
        )
    return {}


def _only_label(titles: Sequence[str], heads: list[str], values: list[list[str]], columns: list[int]) -> int | None:
    """Return the only column that may hold classes, or None."""
    if len(columns) == 1:
        numeric = all(map(str.isdigit, values[columns[0]]))
        is_measure = bool(titles) and PLAIN_MEASURES.fullmatch(heads[columns[0]]) and numeric
        return None if is_measure else columns[0]
    if not titles:
        return None
    candidates = [c for c in columns if c < len(titles) and LABEL_PATTERNS.match(spaced(titles[c]))]
    alternatives = [
        c for c in columns if c < len(titles) and not (MEASURES.fullmatch(heads[c]) or _fractions(values[c]))
    ]
    return next((group[0] for group in (candidates, alternatives) if len(group) == 1), None)


def _fractions(values: Iterable[str]) -> bool:
    return all(re.fullmatch(r"[-+]?\d*\.\d+(e[-+]?\d+)?", value.lower()) for value in values)


def _by_column(lines: Iterable[list[str]], width: int) -> list[list[str]]:
    rows = list(lines)
    return [[cells[column] for cells in rows if column < len(cells) and cells[column]] for column in range(width)]


def _images(values: list[str]) -> int:
    return sum(map(has_sample_ending, values))


def _column_of(heads: list[str], names: list[str], among: list[int]) -> int | None:
    ranked = [
        (names.index(heads[column]), column) for column in among if column < len(heads) and heads[column] in names
    ]
    return min(ranked)[1] if ranked else None
