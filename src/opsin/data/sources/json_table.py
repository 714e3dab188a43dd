"""Tables in JSON: a list of objects, or an object in each line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from opsin.data.file_io import MAX_IMAGE_BYTES
from opsin.tasks.problems import LARGE_FILE, UNREADABLE_FILE, AnnotationFault
from opsin.tasks.tables.table import Row, Table, is_table, parse
from opsin.tasks.text import decode

JSON_LINES = (".jsonl", ".ndjson")
JSON = (".json",)


MAX_TABLES = 100
"""More tables in one folder or archive are samples themselves, such as signals."""


def outer_tables(
    paths: Iterable[str], endings: tuple[str, ...] = JSON_LINES, limit: int | None = MAX_TABLES
) -> list[str]:
    """Return the paths of the tables, CSV, TSV or with one of the JSON `endings`, in the outermost folder of any.

    Nothing is returned if there are more than `limit` in all folders.
    """
    tables = [path for path in paths if is_table(path) or path.lower().endswith(endings)]
    if limit is not None and len(tables) > limit:
        return []
    depth = min((path.count("/") for path in tables), default=0)
    return [path for path in tables if path.count("/") == depth]


def any_table(path: str, data: bytes) -> Table | None:
    """Return the table in a file: CSV, TSV, or JSON. None if it has no rows. Raise `AnnotationFault` if it is none."""
    if path.lower().endswith(JSON_LINES):
        return json_lines(path, data)
    return json_list(path, data) if path.lower().endswith(JSON) else parse(path, data)


def json_lines(path: str, data: bytes) -> Table | None:
    """Return the objects in the lines of a file as a table; lines that hold none are left out."""
    if len(data) > MAX_IMAGE_BYTES:
        return None
    objects = []
    for number, line in enumerate(decode(data).splitlines(), start=1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            objects.append((number, value))
    return _table(path, objects)


def json_list(path: str, data: bytes) -> Table | None:
    """Return the objects in a list as a table, with their numbers in the list as lines.

    Raise `AnnotationFault` for files that are too large, or no such list.
    """
    if len(data) > MAX_IMAGE_BYTES:
        raise AnnotationFault(LARGE_FILE, f"has more than {MAX_IMAGE_BYTES // 2**20} MiB")
    try:
        values = json.loads(decode(data))
    except (ValueError, RecursionError):
        raise AnnotationFault(UNREADABLE_FILE, "is no JSON") from None
    if not isinstance(values, list):
        raise AnnotationFault(UNREADABLE_FILE, "is no list of objects")
    return _table(path, ((number, value) for number, value in enumerate(values, start=1) if isinstance(value, dict)))


def _table(path: str, objects: Iterable[tuple[int, dict[str, Any]]]) -> Table | None:
    pairs = list(objects)
    titles = tuple(dict.fromkeys(str(key) for _, value in pairs for key in value))
    rows = [Row(number, [_cell(value.get(title)) for title in titles]) for number, value in pairs]
    return Table(path, titles, True, rows) if rows else None


def _cell(value: object) -> str:
    return "" if value is None else str(value).strip()
