"""Tables and lists that say which image has which mask and belongs to which split."""

from __future__ import annotations

import csv
import io
import posixpath
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from opsin.base.errors import DataError
from opsin.base.path_words import is_image, split_named
from opsin.tasks.annotations import Files, Problem
from opsin.tasks.segmentation import names
from opsin.tasks.segmentation.pairs import Pair, Pairs
from opsin.tasks.segmentation.problems import BAD_TABLE, FORBIDDEN_PATH, NO_IMAGE, NO_MASK, SECOND_MASK, UNKNOWN_SPLIT

MAX_TABLE_BYTES = 2**26

IMAGE_COLUMNS = (
    "file", "image", "image_path", "image_file", "filename", "file_name", "img", "img_path", "path", "image_name",
    "image_id", "input",
)  # fmt: skip
MASK_COLUMNS = (
    "mask", "mask_path", "mask_file", "mask_name", "segmentation", "annotation", "label", "label_path", "target",
    "ground_truth", "gt",
)  # fmt: skip
SPLIT_COLUMNS = ("split", "subset", "set", "partition", "fold", "usage")

LIST_NAME = re.compile(r"(train|trainval|val|valid|validation|test)\.txt")
LIST_FOLDERS = ("imagesets/segmentation", "imagesets", "splits", "")
MAX_TABLES = 20


@dataclass(frozen=True)
class Table:
    """The rows of a table that names images, and the numbers of its columns."""

    path: str
    rows: list[tuple[int, list[str]]]
    image: int
    mask: int | None
    split: int | None

    def cell(self, cells: list[str], column: int | None) -> str:
        return cells[column].strip() if column is not None and column < len(cells) else ""


def table_of(files: Files, problems: list[Problem], masks: Sequence[str] = MASK_COLUMNS) -> Table | None:
    """Return the outermost table with a column of images and one of masks or splits; None if there is none.

    `masks` are possible names of the column of masks.
    """
    tables = [path for path in files.paths if path.lower().endswith((".csv", ".tsv"))]
    best: Table | None = None
    for path in sorted(tables, key=lambda path: (path.count("/"), path))[:MAX_TABLES]:
        try:
            table = _parse(path, files.read(path), masks)
        except DataError as error:
            problems.append(Problem(path, str(error), BAD_TABLE))
            continue
        if table and table.mask is not None and _leads_to_masks(table, {*files.paths}):
            return table
        if table and table.split is not None:
            best = best or replace(table, mask=None)
    return best


def _leads_to_masks(table: Table, paths: set[str]) -> bool:
    sample = [table.cell(cells, table.mask) for _, cells in table.rows[:200]]
    return any(_find(value, table.path, paths) in paths and is_image(value) for value in sample if value)


def _parse(path: str, data: bytes, masks: Sequence[str]) -> Table | None:
    if len(data) > MAX_TABLE_BYTES:
        raise DataError(f"{len(data):,} bytes, but a table of masks has at most {MAX_TABLE_BYTES:,}")
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = data.decode(encoding, "replace")
    separator = max(",;\t", key=text.split("\n", 1)[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        rows = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise DataError(f"line {reader.line_num}: {error}; save the table again as CSV") from None
    header = [_column_name(cell) for cell in rows[0][1]] if rows else []
    image, mask, split = (
        next((header.index(column) for column in columns if column in header), None)
        for columns in (IMAGE_COLUMNS, [_column_name(name) for name in masks], SPLIT_COLUMNS)
    )
    return None if image is None else Table(path, rows[1:], image, mask, split)


def _column_name(text: str) -> str:
    return text.strip().lower().replace(" ", "_")


def _find(value: str, table: str, paths: set[str]) -> str | None:
    """Return the path that a cell means: relative to the table, or else to the data; None if it leaves the data."""
    near = names.inside(value, posixpath.dirname(table))
    if near is None or near in paths:
        return near
    return far if (far := names.inside(value, "")) in paths else near


def by_table(files: Files, table: Table) -> Pairs:
    """Return the images and masks that a table with a column of masks lists."""
    result = Pairs(form=f"images and masks listed in {table.path}")
    paths, used_images = {*files.paths}, set[str]()
    for line, cells in table.rows:
        where = f"{table.path}, line {line}"
        row = _row(table, cells, where, paths, used_images)
        if isinstance(row, Problem):
            result.problems.append(row)
        else:
            used_images.add(row.image)
            result.pairs.append(row)
    return result


def _row(table: Table, cells: list[str], where: str, paths: set[str], used_images: set[str]) -> Pair | Problem:
    image, mask, split = (table.cell(cells, column) for column in (table.image, table.mask, table.split))
    places = _find(image, table.path, paths), _find(mask, table.path, paths)
    for text, place, kind in zip((image, mask), places, (NO_IMAGE, NO_MASK), strict=True):
        if place is None:
            return Problem(where, f"'{names.printable(text)}' leaves the data", FORBIDDEN_PATH)
        if not text or place not in paths:
            return Problem(where, f"'{names.printable(text)}' does not exist" if text else "a cell is empty", kind)
    split_name = split_named(split)
    if split and not split_name:
        return Problem(where, f"split '{names.printable(split)}' is not train, validation or test", UNKNOWN_SPLIT)
    if places[0] in used_images:
        return Problem(where, f"'{names.printable(image)}' is listed before; the first row counts", SECOND_MASK)
    return Pair(str(places[0]), str(places[1]), split_name)


def with_splits(files: Files, pairs: Pairs, table: Table | None) -> Pairs:
    """Return the pairs with the splits that a table or lists such as ImageSets/Segmentation/train.txt give."""
    if table and table.split is not None:
        split_of = {
            names.stem(table.cell(cells, table.image)): split_named(table.cell(cells, table.split))
            for _, cells in table.rows
        }
        pairs.notes.append(f"{table.path} gives the splits.")
        pairs.pairs = [replace(pair, split=split_of.get(names.stem(pair.image), "") or pair.split)
                       for pair in pairs.pairs]  # fmt: skip
        return pairs
    lists = _lists(files.paths)
    return _by_lists(files, pairs, lists) if lists else pairs


def _lists(paths: Sequence[str]) -> list[str]:
    """Return the lists of the first of `LIST_FOLDERS` that holds at least two."""
    lists = [path for path in paths if LIST_NAME.fullmatch(posixpath.basename(path).lower())]
    for folder in LIST_FOLDERS:
        inside = [path for path in lists if posixpath.dirname(path).lower().endswith(folder)]
        if len(inside) > 1 and len({posixpath.dirname(path) for path in inside}) == 1:
            return inside
    return []


def _by_lists(files: Files, pairs: Pairs, lists: Sequence[str]) -> Pairs:
    """Keep the listed pairs if most images are; "trainval" only says which images are meant."""
    split_of: dict[str, str] = {}
    for path in sorted(lists, key=lambda path: "trainval" in path.lower()):
        try:
            stems = _stems(files.read(path))
        except DataError as error:
            pairs.problems.append(Problem(path, str(error), BAD_TABLE))
            continue
        for stem in stems:
            split_of.setdefault(stem, split_named(names.stem(path)))
    pairs_in_lists = [pair for pair in pairs.pairs if names.stem(pair.image) in split_of]
    if not pairs_in_lists:
        return pairs
    unlisted_count = len(pairs.pairs) - len(pairs_in_lists)
    places = names.printable(posixpath.dirname(lists[0]) or "lists next to the images")
    remark = f"; {unlisted_count:,} masks are in none." if unlisted_count else "."
    pairs.notes.append(f"{places} gives the splits{remark}")
    pairs.pairs = [replace(pair, split=split_of[names.stem(pair.image)] or pair.split) for pair in pairs_in_lists]
    _drop(pairs, lambda problem: problem.kind == NO_MASK and names.stem(problem.name) not in split_of)
    return pairs


def _drop(pairs: Pairs, unwanted: Callable[[Problem], bool]) -> None:
    """Replace the problems of images that no list names by one note."""
    remaining_problems = [problem for problem in pairs.problems if not unwanted(problem)]
    dropped_count = len(pairs.problems) - len(remaining_problems)
    if dropped_count:
        pairs.notes.append(f"{dropped_count:,} images without a mask are in no list of the splits, left out.")
    pairs.problems = remaining_problems


def _stems(data: bytes) -> Iterable[str]:
    if len(data) > MAX_TABLE_BYTES:
        raise DataError(f"{len(data):,} bytes, but a list of images has at most {MAX_TABLE_BYTES:,}")
    lines = data.decode("utf-8-sig", "replace").splitlines()
    return [names.stem(line.split()[0]) for line in lines if line.strip()]
