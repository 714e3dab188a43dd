"""Read tables of paths and labels: CSV or TSV, with a header or without.

CSV is defined by RFC 4180. Files separated by tabs or semicolons and UTF-16 are read as well.
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
    group: str = ""


def read_table(
    data: bytes, name: str, count: Count | None = None, needs_labels: bool = True
) -> tuple[list[Row], list[FileProblem]]:
    """Return the rows of a table, each path once, and the problems of the others. Raise `DataError` for other tables.

    `count` returns the number of files that the values of a column lead to, in case they have no image extensions.
    Unless it `needs_labels`, rows without a label are returned, too.
    """
    lines = _cells(_text(data, name), name)
    if not lines:
        raise DataError(f"{name} is empty; give a table with a path and a label in each line")
    columns = find_columns([cells for _, cells in lines], name, count, needs_labels)
    rows: dict[str, Row] = {}
    problems: list[FileProblem] = []
    for line, cells in lines[columns.header :]:
        row, problem = _row(line, cells, columns, name)
        previous = rows.get(row.path) if row else None
        if row and previous is None:
            rows[row.path] = row
        elif row and previous and (row.label, row.split) != (previous.label, previous.split):
            reason = f"'{row.label}' in line {line} of {name}, but '{previous.label}' in line {previous.line}"
            if row.label == previous.label:
                reason = f"in the {row.split} split in line {line} of {name}, but elsewhere in line {previous.line}"
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
    """Return number and cells of each line that is not empty."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    unquoted = re.sub(r'"[^"]*"', "", first)
    separator = max("\t,;|", key=unquoted.count)
    if separator not in unquoted:
        separator = " " if len(unquoted.split()) > 1 else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    lines = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                lines.append((reader.line_num, [cell.strip() for cell in cells]))  # noqa: PERF401
    except csv.Error as error:
        raise DataError(f"{name}, line {reader.line_num}: {error}; save the table again as CSV") from None
    return lines


def _row(line: int, cells: list[str], columns: Columns, name: str) -> tuple[Row | None, FileProblem | None]:
    def cell(column: int | None) -> str:
        return cells[column] if column is not None and column < len(cells) else ""

    path, split = cell(columns.path), cell(columns.split)
    label, reason = columns.label_of(cells)
    if not path:
        return None, FileProblem(f"{name}, line {line}", "lists no file", MISSING)
    if reason:
        return None, FileProblem(printable(path), f"{reason} in line {line} of {name}", UNLABELLED)
    known_split = split_named(split) if split else UNSPLIT
    if known_split is None:
        reason = f"in line {line} of {name} in a split '{printable(split)}', which is not train, validation or test"
        return None, FileProblem(printable(path), reason, UNLABELLED)
    return Row(line, path, printable(label), known_split, cell(columns.group)), None
