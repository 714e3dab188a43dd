"""A table of paths and labels, as spreadsheets and programs write it: CSV or TSV, with a header or without.

RFC 4180 says what CSV is; also read are files separated by tabs or semicolons, and UTF-16.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from opsin.data.items import MISSING, REPEATED, UNDIVIDED, UNLABELLED, Problem, shown
from opsin.data.sources.names import like_picture, listed, part_of
from opsin.errors import DataError

TABLE_ENDINGS = (".csv", ".tsv")
PATH_NAMES = (
    "path file filename file_name filepath file_path image image_path image_name image_file img img_path picture photo "
    "name id image_id uri url"
).split()
LABEL_NAMES = "label labels class class_name classname category target y tag species breed diagnosis type".split()
PART_NAMES = "split part set subset partition usage dataset fold data_split".split()
"""Names of columns, the likeliest first."""

LOOKED_AT = 200
"""Rows by which the meaning of unnamed columns is guessed."""


@dataclass(frozen=True, slots=True)
class Row:
    line: int
    path: str
    label: str
    part: str


@dataclass(frozen=True)
class Columns:
    """Which column is what; `part` is None where there is none."""

    path: int
    label: int
    part: int | None
    header: bool


def read_table(data: bytes, name: str) -> tuple[list[Row], list[Problem]]:
    """The rows of a table, each path once; what is wrong with the others. `DataError` where it is no such table."""
    lines = _cells(_text(data, name), name)
    if not lines:
        raise DataError(f"{name} is empty; give a table with a path and a label in each line")
    columns = _columns([cells for _, cells in lines], name)
    rows: dict[str, Row] = {}
    problems: list[Problem] = []
    for line, cells in lines[columns.header :]:
        row, problem = _row(line, cells, columns, name)
        earlier = rows.get(row.path) if row else None
        if row and earlier is None:
            rows[row.path] = row
        elif row and earlier and (row.label, row.part) != (earlier.label, earlier.part):
            reason = f"'{row.label}' in line {line} of {name}, but '{earlier.label}' in line {earlier.line}"
            if row.label == earlier.label:
                reason = f"in the {row.part} part in line {line} of {name}, but elsewhere in line {earlier.line}"
            problem = Problem(shown(row.path), f"{reason}; the first counts", REPEATED)
        if problem:
            problems.append(problem)
    return list(rows.values()), problems


def _text(data: bytes, name: str) -> str:
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(f"{name}, line {line}: this is not UTF-8; save the table as UTF-8 (Unicode)") from None


def _cells(text: str, name: str) -> list[tuple[int, list[str]]]:
    """Each line that says something: its number and its cells."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    bare = re.sub(r'"[^"]*"', "", first)
    separator = max("\t,;|", key=bare.count)
    if separator not in bare:
        separator = " " if len(bare.split()) > 1 else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    found = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                found.append((reader.line_num, [cell.strip() for cell in cells]))  # noqa: PERF401
    except csv.Error as error:
        raise DataError(f"{name}, line {reader.line_num}: {error}; save the table again as CSV") from None
    return found


def _row(line: int, cells: list[str], columns: Columns, name: str) -> tuple[Row | None, Problem | None]:
    def cell(column: int | None) -> str:
        return cells[column] if column is not None and column < len(cells) else ""

    path, label, part = cell(columns.path), cell(columns.label), cell(columns.part)
    if not path:
        return None, Problem(f"{name}, line {line}", "names no file", MISSING)
    if not label:
        return None, Problem(shown(path), f"without a label in line {line} of {name}", UNLABELLED)
    known = part_of(part) if part else UNDIVIDED
    if known is None:
        reason = f"in line {line} of {name} in a part '{shown(part)}', which is none of train, validation and test"
        return None, Problem(shown(path), reason, UNLABELLED)
    return Row(line, path, shown(label), known), None


def _columns(lines: Sequence[list[str]], name: str) -> Columns:
    """The columns by their names, and where these say nothing, by what is in them."""
    heads = [cell.lower().replace(" ", "_") for cell in lines[0]]
    width = max(len(cells) for cells in lines[:LOOKED_AT])
    if width < 2:
        raise DataError(f"{name} has one column only; each line is to hold a picture's path and its label")
    named = {*PATH_NAMES, *LABEL_NAMES, *PART_NAMES} & set(heads)
    header = bool(named) and not any(map(like_picture, lines[0]))
    values = _by_column(lines[1 if header else 0 : LOOKED_AT], width)
    if not header and len(lines) > 1:  # a header of names that are not known has no picture where all others have one
        below = _by_column(lines[1:LOOKED_AT], width)
        header = any(_pictures(b) == len(b) and not like_picture(v[0]) for v, b in zip(values, below, strict=True) if b)
        values = below if header else values
    free = [column for column in range(width) if values[column]]
    path = _named(heads, PATH_NAMES, free) if header else None
    pictures = {column: _pictures(values[column]) for column in free}
    likeliest = max(free, key=lambda column: pictures[column], default=None)
    if likeliest is not None and pictures[likeliest] and (path is None or not pictures[path]):
        path = likeliest
    if path is None:
        path = 0
    free = [column for column in free if column != path]
    part = _named(heads, PART_NAMES, [c for c in free if len(free) > 1]) if header else None
    if part is None or not any(part_of(value) for value in values[part]):
        part = next((c for c in free if len(free) > 1 and all(part_of(value) for value in values[c])), None)
    free = [column for column in free if column != part]
    label = _named(heads, LABEL_NAMES, free) if header else None
    if label is None and len(free) == 1:
        label = free[0]
    if label is None:
        titles = lines[0] if header else [f"column {number}" for number in range(1, width + 1)]
        raise DataError(
            f"{name} has the columns {listed(titles)}; name the one with the pictures' paths 'path' and the one with "
            "the classes 'label'"
        )
    return Columns(path, label, part, header)


def _by_column(lines: Iterable[list[str]], width: int) -> list[list[str]]:
    rows = list(lines)
    return [[cells[column] for cells in rows if column < len(cells) and cells[column]] for column in range(width)]


def _pictures(values: list[str]) -> int:
    return sum(map(like_picture, values))


def _named(heads: list[str], names: list[str], among: list[int]) -> int | None:
    found = [(names.index(heads[column]), column) for column in among if column < len(heads) and heads[column] in names]
    return min(found)[1] if found else None
