"""Read tables: CSV (RFC 4180), TSV, and tables separated by semicolons or bars, as spreadsheets write them.

Text is UTF-8 or UTF-16 with a byte order mark, or else Windows-1252. Nothing in a table is trusted: size and columns
are limited, and damaged tables raise `AnnotationFault`.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from math import nan

from opsin.base.formatting import exact_size
from opsin.base.path_words import SIGNAL_ENDINGS, SOUND_ENDINGS, TEXT_ENDINGS, is_image
from opsin.tasks.problems import LARGE_FILE, UNREADABLE_FILE, AnnotationFault, printable
from opsin.tasks.text import decode, number

TABLE_ENDINGS = (".csv", ".tsv")
MAX_TABLE_BYTES = 1 << 27
MAX_COLUMNS = 4096
DELIMITERS = "\t,;|"
SAMPLE_ROWS = 50
"""Rows that are examined to find the delimiter and the header."""


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of a row, without spaces around them, and the number of its (last) line, from 1."""

    line: int
    cells: Sequence[str]

    def cell(self, column: int | None) -> str:
        """Return what a column holds; "" if there is no such cell."""
        return self.cells[column] if column is not None and column < len(self.cells) else ""


@dataclass(frozen=True, eq=False)
class Table:
    """A table at a path in the data. Without a header, the titles are "column 1", "column 2", …

    `decimal_comma` says that numbers may be written as 3,5, which is usual if semicolons separate the cells.
    """

    path: str
    titles: tuple[str, ...]
    header: bool
    rows: Sequence[Row]
    decimal_comma: bool = False

    def column(self, column: int) -> list[str]:
        """Return what a column holds in every row."""
        return [row.cell(column) for row in self.rows]

    def number(self, text: str) -> float:
        """Return the number in a cell; NaN if there is none, or an infinite one."""
        if self.decimal_comma and text.count(",") == 1 and "." not in text:
            text = text.replace(",", ".")
        return number(text) if text else nan

    def place(self, line: int) -> str:
        """Return the name of a row in messages: "labels.csv, line 3"."""
        return f"{self.path}, line {line}"


def is_table(path: str) -> bool:
    """Return whether a file has the extension of a table and is not hidden."""
    name = path.rpartition("/")[2]
    return path.lower().endswith(TABLE_ENDINGS) and not name.startswith(".")


def parse(path: str, data: bytes) -> Table | None:
    """Return the table in the bytes of a file; None if it has no row besides a header.

    Raise `AnnotationFault` for files that are too large, or not tables.
    """
    if len(data) > MAX_TABLE_BYTES:
        limit = exact_size(MAX_TABLE_BYTES)
        raise AnnotationFault(LARGE_FILE, f"has {exact_size(len(data))}; tables of up to {limit} are read")
    text = decode(data).replace("\0", "")
    delimiter = _delimiter(text)
    rows = _rows(text, delimiter)
    header = _has_header(rows)
    titles, body = (rows[0].cells if header else ()), rows[1:] if header else rows
    if not body:
        return None
    width = max(len(titles), *(len(row.cells) for row in body[:SAMPLE_ROWS]))
    if width > MAX_COLUMNS:
        raise AnnotationFault(UNREADABLE_FILE, f"has {width:,} columns; tables of up to {MAX_COLUMNS:,} are read")
    named = [title or f"column {place}" for place, title in enumerate(titles, 1)]
    named += [f"column {place}" for place in range(len(named) + 1, width + 1)]
    return Table(path, tuple(named), header, body, delimiter == ";")


def _delimiter(text: str) -> str:
    """Return the delimiter that gives the most rows the same number of cells, at least two."""
    return max(DELIMITERS, key=lambda delimiter: _uniform_rows(text, delimiter))


def _uniform_rows(text: str, delimiter: str) -> tuple[int, bool]:
    """Return how many of the first rows have the most frequent width above 1, and whether the first one has it."""
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        widths = [len(cells) for cells in islice(reader, SAMPLE_ROWS) if any(cells)]
    except csv.Error:
        return 0, False
    width, count = next(iter(Counter(width for width in widths if width > 1).most_common(1)), (0, 0))
    return count, bool(widths) and widths[0] == width


def _rows(text: str, delimiter: str) -> list[Row]:
    """Return the rows that are not empty. Raise `AnnotationFault` if one cannot be read."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    rows: list[Row] = []
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                rows.append(Row(reader.line_num, stripped))
    except csv.Error as error:
        reason = f"cannot be read after line {reader.line_num}: {printable(error)}; save the table again as CSV"
        raise AnnotationFault(UNREADABLE_FILE, reason) from None
    return rows


def _has_header(rows: Sequence[Row]) -> bool:
    """Return whether the first row names the columns.

    It does if no image is in it, but one in the same column below, or if none of its cells is an image or a number.
    Files of other kinds, such as recordings, count as images do.
    """
    if not rows or any(_is_sample(cell) for cell in rows[0].cells):
        return False
    below = rows[1:SAMPLE_ROWS]
    if any(_is_sample(row.cell(column)) for column in range(len(rows[0].cells)) for row in below):
        return True
    return not any(number(cell) == number(cell) for cell in rows[0].cells)


def _is_sample(cell: str) -> bool:
    name = re.split(r"[/\\]", cell)[-1]
    return is_image(name) or name.lower().endswith(SOUND_ENDINGS + TEXT_ENDINGS + SIGNAL_ENDINGS)
