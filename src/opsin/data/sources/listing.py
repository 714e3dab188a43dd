"""A table's rows held against the files that are there, on the disk or in an archive."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from opsin.data.files import no_file, thing, unreadable
from opsin.data.items import MISSING, UNDIVIDED, Item, Problem, shown
from opsin.data.sources.folder import Files
from opsin.data.sources.layout import Arrangement
from opsin.data.sources.names import is_litter, part_of
from opsin.data.sources.table import TABLE_ENDINGS, read_table
from opsin.errors import DataError

Find = Callable[[str], int | Problem]
"""From a row's path to the file's place, or what is wrong with it."""


def tables_in(names: Sequence[str]) -> list[str]:
    """The tables among the names of a folder's files: one, or one for each part (train.csv, test.csv)."""
    found = [name for name in names if name.lower().endswith(TABLE_ENDINGS) and not is_litter(name)]
    if len(found) > 1:
        parts = {name: part_of(PurePosixPath(name).stem) for name in found}
        found = [name for name, part in parts.items() if part]
        if len({parts[name] for name in found}) < len(found):
            return []
    return found


def arrange(tables: dict[str, bytes], find: Find, prefix: str = "") -> Arrangement:
    """The items of one table, or of several that are named after their parts."""
    made = Arrangement()
    taken: set[int] = set()
    for name, data in tables.items():
        whole = part_of(PurePosixPath(name).stem) if len(tables) > 1 else None
        rows, problems = read_table(data, name)
        made.problems.extend(problems)
        for row in rows:
            place = find(row.path)
            if isinstance(place, Problem):
                made.problems.append(place)
            elif place not in taken:
                taken.add(place)
                made.items.append(Item(prefix + shown(row.path), row.label, row.part or whole or UNDIVIDED))
                made.places.append(place)
    return made


def open_tables(tables: Sequence[Path], name: str) -> Files:
    """The pictures that tables in one folder name, by paths relative to that folder or absolute."""
    folder = tables[0].parent
    paths: list[str] = []
    numbers: dict[str, int] = {}

    def find(path: str) -> int | Problem:
        if "://" in path:
            return Problem(shown(path), "an address; give the path of a file", MISSING)
        found = _existing(folder, path)
        if isinstance(found, Problem):
            return found
        key = os.path.normpath(found)
        if key not in numbers:
            numbers[key] = len(paths)
            paths.append(found)
        return numbers[key]

    try:
        contents = {table.name: table.read_bytes() for table in tables}
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}") from None
    made = arrange(contents, find)
    if not made.items:
        raise DataError(nothing_found(str(tables[0]), made.problems))
    return Files(name, folder, made.items, made.problems, [paths[place] for place in made.places])


def _existing(folder: Path, path: str) -> str | Problem:
    """The path, or with Windows' separators turned, if there is a file."""
    error: OSError | None = None
    for candidate in dict.fromkeys((path, path.replace("\\", "/"))):
        try:
            special = thing(os.stat(folder / candidate).st_mode)
        except OSError as caught:
            error = error or caught
        except ValueError:  # a zero byte, which no path has
            return Problem(shown(path), "no such file", MISSING)
        else:
            return no_file(shown(path), special).problem if special else candidate
    return unreadable(shown(path), error or OSError()).problem


def nothing_found(table: str, problems: Sequence[Problem]) -> str:
    first = f": {problems[0].name}, {problems[0].reason}" if problems else ""
    return (
        f"{table} names no picture that is there{first}; give a path, relative to the table, and a label in each line"
    )
