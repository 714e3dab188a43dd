"""A table of paths and labels, as spreadsheets and programs write it: CSV or TSV, with a header or without.

RFC 4180 says what CSV is; also read are files separated by tabs or semicolons, and UTF-16.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import dataclass

from opsin.base.errors import DataError
from opsin.data.items import MISSING, REPEATED, UNLABELLED, UNSPLIT, FileProblem, printable
from opsin.data.sources.columns import Columns, Count, find_columns
from opsin.data.sources.names import split_named

TABLE_ENDINGS = (".csv", ".tsv")


@dataclass(frozen=True, slots=True)
class Row:
    line: int
    path: str
    label: str
    split: str


def read_table(data: bytes, name: str, count: Count | None = None) -> tuple[list[Row], list[FileProblem]]:
    """The rows of a table, each path once; what is wrong with the others. `DataError` where it is no such table.

    `count` says how many files the values of a column lead to, where their names do not tell that they are images.
    """
    lines = _cells(_text(data, name), name)
    if not lines:
        raise DataError(f"{name} is empty; give a table with a path and a label in each line")
    columns = find_columns([cells for _, cells in lines], name, count)
    rows: dict[str, Row] = {}
    problems: list[FileProblem] = []
    for line, cells in lines[columns.header :]:
        row, problem = _row(line, cells, columns, name)
        earlier = rows.get(row.path) if row else None
        if row and earlier is None:
            rows[row.path] = row
        elif row and earlier and (row.label, row.split) != (earlier.label, earlier.split):
            reason = f"'{row.label}' in line {line} of {name}, but '{earlier.label}' in line {earlier.line}"
            if row.label == earlier.label:
                reason = f"in the {row.split} part in line {line} of {name}, but elsewhere in line {earlier.line}"
            problem = FileProblem(printable(row.path), f"{reason}; the first counts", REPEATED)
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


def _row(line: int, cells: list[str], columns: Columns, name: str) -> tuple[Row | None, FileProblem | None]:
    def cell(column: int | None) -> str:
        return cells[column] if column is not None and column < len(cells) else ""

    path, split = cell(columns.path), cell(columns.split)
    label, lacking = columns.label_of(cells)
    if not path:
        return None, FileProblem(f"{name}, line {line}", "names no file", MISSING)
    if not label:
        return None, FileProblem(printable(path), f"{lacking} in line {line} of {name}", UNLABELLED)
    known = split_named(split) if split else UNSPLIT
    if known is None:
        reason = f"in line {line} of {name} in a part '{printable(split)}', which is none of train, validation and test"
        return None, FileProblem(printable(path), reason, UNLABELLED)
    return Row(line, path, printable(label), known), None
