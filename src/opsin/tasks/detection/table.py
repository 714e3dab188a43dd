"""Read boxes from tables (CSV), one box in each line.

Understood are named columns, such as filename, width, height, class, xmin, ymin, xmax, ymax (the TensorFlow Object
Detection API), x, y, w, h or bbox "[x, y, w, h]" (Kaggle), ImageID, LabelName, XMin, XMax, YMin, YMax as shares (Open
Images), and lines path, x1, y1, x2, y2, class without names (keras-retinanet).
"""

from __future__ import annotations

import csv
import io
import math
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from opsin.base.path_words import split_named
from opsin.tasks.annotations import Annotations, Files, ImageSize
from opsin.tasks.detection.collector import Collector, Corners, ImageRecord, RawBox
from opsin.tasks.detection.columns import Columns, find_columns
from opsin.tasks.file_names import folder_split, split_of
from opsin.tasks.problems import (
    INVALID_ENTRY,
    INVALID_NUMBER,
    UNKNOWN_CLASS,
    UNREADABLE_FILE,
    AnnotationFault,
    printable,
)
from opsin.tasks.text import decode, is_true, number

FORM = "table of boxes"
MAX_TABLE_BYTES = 1 << 30
TABLE_ENDINGS = (".csv", ".tsv")
DELIMITERS = ",;\t"
ONLY_CLASS = "object"
"""The name of the class if a table has no column for it."""

SHARE_TOLERANCE = 1.001
"""Coordinates that are all smaller are shares of the image."""

Row = tuple[int, list[str]]
"""The number of a line, and its cells."""


@dataclass(frozen=True, eq=False)
class _Table:
    path: str
    columns: Columns
    rows: list[Row]
    relative: bool
    """Whether the coordinates are shares."""
    names: dict[str, str]
    """The names of classes that stand as codes (Open Images' class descriptions)."""


def read(files: Files, image_size: ImageSize) -> Annotations | None:
    """Return the boxes of the tables; None if there is none in this form."""
    collector = Collector(files, image_size)
    contents = dict(_contents(collector))
    names = _class_descriptions(contents.values())
    tables = [table for path, rows in contents.items() if (table := _table(path, rows, names))]
    if not tables:
        return None
    for table in tables:
        _read_table(collector, table)
    if not any("class" in table.columns.places for table in tables):
        collector.notes.append(f"The table has no column for the class, so all boxes are of the class '{ONLY_CLASS}'.")
    folders = {posixpath.dirname(path) for path in collector.records}
    unlisted = [path for path in collector.images.paths if posixpath.dirname(path) in folders]
    splits = {posixpath.dirname(path): record.split for path, record in collector.records.items()}
    collector.add_unlisted(unlisted, lambda path: folder_split(path) or splits[posixpath.dirname(path)])
    return collector.finish(FORM)


def _contents(collector: Collector) -> Iterator[tuple[str, list[Row]]]:
    """Yield the rows of each table that is not empty."""
    for path in collector.files.paths:
        if path.lower().endswith(TABLE_ENDINGS) and not posixpath.basename(path).startswith("."):
            data = collector.read(path, MAX_TABLE_BYTES)
            text = decode(data).lstrip("\r\n") if data else ""
            if _may_hold_boxes(text):
                yield path, _rows(collector, path, text)


def _may_hold_boxes(text: str) -> bool:
    """Whether the first line names columns of boxes, or a class and its code; other tables need not be parsed."""
    rows = list(csv.reader([_first_line(text)], delimiter=_delimiter(text)))
    return bool(rows) and (len(rows[0]) == 2 or find_columns(rows[0]) is not None)


def _delimiter(text: str) -> str:
    return max(DELIMITERS, key=_first_line(text).count)


def _first_line(text: str) -> str:
    return re.split(r"[\r\n]", text[:4096], maxsplit=1)[0].replace("\0", "")


def _rows(collector: Collector, path: str, text: str) -> list[Row]:
    """Return the lines that are not empty, with their numbers."""
    reader = csv.reader(io.StringIO(text.replace("\0", ""), newline=""), delimiter=_delimiter(text))
    rows: list[Row] = []
    try:
        rows.extend((reader.line_num, row) for row in reader if any(cell.strip() for cell in row))
    except csv.Error as error:
        collector.problem(f"{path}, line {reader.line_num}", UNREADABLE_FILE, f"cannot be read on: {printable(error)}")
    return rows


def _class_descriptions(contents: Iterable[Sequence[Row]]) -> dict[str, str]:
    """Return the names of Open Images' codes, from a table with lines such as "/m/01g317,Person"."""
    names: dict[str, str] = {}
    for rows in contents:
        if rows and all(len(row) == 2 for _, row in rows[:5]) and rows[-1][1][0].startswith("/"):
            names |= {row[0].strip(): row[1].strip() for _, row in rows if len(row) == 2}
    return names


def _table(path: str, rows: Sequence[Row], names: dict[str, str]) -> _Table | None:
    columns = find_columns(rows[0][1]) if rows else None
    if columns is None:
        return None
    body = list(rows[1:] if columns.header else rows)
    values = [v for _, row in body for v in map(abs, map(number, _box_cells(columns, row))) if v == v]
    relative = bool(values) and max(values) <= SHARE_TOLERANCE and any(v not in (0, 1) for v in values)
    return _Table(path, columns, body, relative, names)


def _box_cells(columns: Columns, row: Sequence[str]) -> list[str]:
    """Return the four cells of a box, or fewer if they are missing."""
    if columns.box == ("box",):
        return [cell for cell in re.split(r"[\s,;\[\]()]+", columns.value(row, "box")[:200]) if cell]
    return [columns.value(row, name) for name in columns.box]


def _read_table(collector: Collector, table: _Table) -> None:
    images: dict[tuple[str, str], ImageRecord | AnnotationFault | None] = {}
    for line, row in table.rows:
        name = f"{table.path}, line {line}"
        try:
            record = _image(collector, table, row, images)
            if record is not None:
                _read_row(collector, table, record, name, row)
        except AnnotationFault as fault:
            collector.problem(name, fault.kind, fault.reason)


def _image(
    collector: Collector,
    table: _Table,
    row: Sequence[str],
    images: dict[tuple[str, str], ImageRecord | AnnotationFault | None],
) -> ImageRecord | None:
    """Return the image of a row; raise `AnnotationFault` if there is none."""
    columns = table.columns
    reference, split = columns.value(row, "image"), split_named(columns.value(row, "split")) or split_of(table.path)
    if not reference:
        raise AnnotationFault(INVALID_ENTRY, "names no image")
    if (reference, split) not in images:
        images[reference, split] = _new_image(collector, table, row, reference, split)
    found = images[reference, split]
    if isinstance(found, AnnotationFault):
        raise AnnotationFault(found.kind, found.reason)
    return found


def _new_image(
    collector: Collector, table: _Table, row: Sequence[str], reference: str, split: str
) -> ImageRecord | AnnotationFault | None:
    try:
        path = collector.images.find(reference, posixpath.dirname(table.path), split)
    except AnnotationFault as fault:
        return fault
    columns = table.columns
    size = number(columns.value(row, "height")), number(columns.value(row, "width"))
    return collector.image(path, split or folder_split(path), size)


def _read_row(collector: Collector, table: _Table, record: ImageRecord, name: str, row: Sequence[str]) -> None:
    columns = table.columns
    cells = _box_cells(columns, row)
    if not any(cells):
        return  # an image without objects
    corners = _corners(columns, cells)
    if any(map(math.isnan, corners)):
        shown = printable(", ".join(cells))
        collector.drop(record, name, INVALID_NUMBER, f"the box ({shown}) has coordinates that are not numbers")
        return
    label = columns.value(row, "class") if "class" in columns.places else ONLY_CLASS
    label = table.names.get(label, label)
    if not label:
        collector.drop(record, name, UNKNOWN_CLASS, "the box has no class")
        return
    crowd, difficult = is_true(columns.value(row, "crowd")), is_true(columns.value(row, "difficult"))
    collector.add(record, RawBox(name, label, corners, table.relative, difficult, crowd))


def _corners(columns: Columns, cells: Sequence[str]) -> Corners:
    values = [*map(number, cells), *[math.nan] * 4][:4]
    if len(cells) != 4:
        return math.nan, math.nan, math.nan, math.nan
    left, top, right, bottom = values
    return (left, top, right, bottom) if columns.box[0] == "left" else (left, top, left + right, top + bottom)
