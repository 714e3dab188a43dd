"""Read tables of classes: names with colours or ids.

Forms: class_dict.csv (name, r, g, b), labelmap.txt of CVAT (name:r,g,b:parts:actions), label_colors.txt of CamVid
("64 128 64  Animal"), _classes.csv of Roboflow (pixel value, class), and lists of names such as classes.txt.
"""

from __future__ import annotations

import csv
import io
import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from opsin.base.errors import DataError
from opsin.tasks.segmentation.names import printable

MAX_TABLE_BYTES = 2**20
MAX_NAMES = 4096

TABLE_NAME = re.compile(
    r"(.*class_?dict.*|_?classes|class_?names|.*label_?colou?rs.*|colou?rmap|label_?map|labels?|label_?names|codes|"
    r"classes_map|categories)\.(csv|txt|tsv)"
)
VOID_NAMES = frozenset(("void", "ignore", "ignored", "ignore_index"))
"""Names of classes whose pixels do not count."""

NAME_COLUMNS = ("name", "class", "class_name", "classname", "label", "category")
ID_COLUMNS = ("pixel value", "pixel_value", "value", "id", "index", "class_id", "label_id")
COLOUR_COLUMNS = (("r", "g", "b"), ("red", "green", "blue"))

CVAT_LINE = re.compile(r"([^:]+):(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})(:.*)?")
COLOUR_FIRST = re.compile(r"(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})[\s,:]+(\S.*)")
COLOUR_LAST = re.compile(r"(\S.*?)[\s,:]+(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})")
ID_FIRST = re.compile(r"(\d{1,5})\s*[:,;\t ]\s*(\S.*)")


@dataclass(frozen=True)
class ClassTable:
    """The classes of a table: their names, and their ids or colours (red · 65536 + green · 256 + blue)."""

    path: str
    names: tuple[str, ...]
    ids: tuple[int, ...] | None = None
    colours: tuple[int, ...] | None = None


Line = tuple[str, int | None, int | None]
"""A name, an id and a colour."""


def candidates(paths: Sequence[str]) -> list[str]:
    """Return the files that may be tables of classes, those with colours first, then the outermost."""
    tables = [path for path in paths if TABLE_NAME.fullmatch(posixpath.basename(path).lower())]
    plain = re.compile(r"(labels?|codes|categories)\.")
    return sorted(tables, key=lambda path: (bool(plain.match(posixpath.basename(path).lower())), path.count("/")))


def parse(path: str, data: bytes) -> ClassTable:
    """Return the classes of a table. Raise `DataError` if it holds none."""
    if len(data) > MAX_TABLE_BYTES:
        raise DataError(f"{len(data):,} bytes, but a table of classes has at most {MAX_TABLE_BYTES:,}")
    text = data.decode("utf-8-sig", "replace")
    lines = _columns(text) if path.lower().endswith((".csv", ".tsv")) else None
    lines = lines or [line for line in map(_line, text.splitlines()) if line]
    if not 0 < len(lines) <= MAX_NAMES:
        raise DataError(f"{len(lines):,} classes; expected a name in each line, and perhaps a colour or an id")
    return _table(path, lines)


def _table(path: str, lines: Sequence[Line]) -> ClassTable:
    names = _unique(printable(name) for name, _, _ in lines)
    ids, colours = [number for _, number, _ in lines], [colour for _, _, colour in lines]
    known_ids = tuple(number for number in ids if number is not None)
    known_colours = tuple(colour for colour in colours if colour is not None)
    return ClassTable(
        path,
        names,
        known_ids if len(set(known_ids)) == len(lines) else None,
        known_colours if len(set(known_colours)) == len(lines) else None,
    )


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    """Number names that occur again."""
    unique: dict[str, None] = {}
    for name in names:
        number, free = 2, name
        while free in unique:
            free, number = f"{name} ({number})", number + 1
        unique[free] = None
    return tuple(unique)


def _line(text: str) -> Line | None:
    text = text.strip()
    if not text or text.startswith("#"):
        return None
    if match := CVAT_LINE.fullmatch(text):
        return match[1].strip(), None, _colour(match.group(2, 3, 4))
    if match := COLOUR_FIRST.fullmatch(text):
        return match[4].strip(), None, _colour(match.group(1, 2, 3))
    if match := COLOUR_LAST.fullmatch(text):
        return match[1].strip(), None, _colour(match.group(2, 3, 4))
    if match := ID_FIRST.fullmatch(text):
        return match[2].strip(), int(match[1]), None
    return text, None, None


def _colour(values: Sequence[str]) -> int | None:
    red, green, blue = (int(value) for value in values)
    return red << 16 | green << 8 | blue if max(red, green, blue) < 256 else None


def _columns(text: str) -> list[Line] | None:
    """Return the rows of a table with a header that has a column of names; None for other tables."""
    separator = max(",;\t", key=text.split("\n", 1)[0].count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error:
        return None
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    name = next((header.index(column) for column in NAME_COLUMNS if column in header), None)
    if name is None:
        return None
    number = next((header.index(column) for column in ID_COLUMNS if column in header), None)
    colour = next(([header.index(c) for c in columns] for columns in COLOUR_COLUMNS if {*columns} <= {*header}), None)
    return [line for row in rows[1:] if (line := _row([cell.strip() for cell in row], name, number, colour))]


def _row(cells: list[str], name: int, number: int | None, colour: list[int] | None) -> Line | None:
    if name >= len(cells) or not cells[name]:
        return None
    has_id = number is not None and number < len(cells) and re.fullmatch(r"\d{1,5}", cells[number])
    parts = [cells[at] for at in colour or () if at < len(cells) and re.fullmatch(r"\d{1,3}", cells[at])]
    return (
        cells[name],
        int(cells[number]) if has_id and number is not None else None,
        _colour(parts) if len(parts) == 3 else None,
    )
