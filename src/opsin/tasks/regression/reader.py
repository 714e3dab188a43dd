"""Read numbers for images from tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from opsin.base.errors import DataError
from opsin.base.formatting import listed
from opsin.tasks.annotations import AnnotatedImage, Annotations, Files, ImageSize, Problem, kind_of
from opsin.tasks.problems import CONTRADICTION, INVALID_NUMBER, MISSING_NUMBER, printable
from opsin.tasks.regression.number_columns import (
    MISSING,
    NumberColumn,
    named_columns,
    number_columns,
    preferred,
)
from opsin.tasks.regression.quantities import UNORDERED, Reading
from opsin.tasks.regression.time_order import GAP_SECONDS, time_order
from opsin.tasks.tables.images import ImageTable, TableImages, choose, unused_note
from opsin.tasks.tables.table import Row

FORM = "table of numbers"

SPLIT_NOTE = "by time, as the images are frames: the first 70% for training, then 10% for validation, the last 20% test"


@dataclass(eq=False)
class _Reader:
    """Collects the numbers of images; the first row of an image counts."""

    images: TableImages
    found: dict[str, tuple[str, Reading, str]] = field(default_factory=dict)
    """The place of the row, the numbers and the split, by the path of the image."""

    def read(self, table: ImageTable, columns: Sequence[NumberColumn]) -> None:
        for row, path, split in self.images.rows(table):
            place = table.table.place(row.line)
            values = self._values(table, row, columns)
            if values is None:
                continue
            first, reading, first_split = self.found.setdefault(path, (place, Reading(values), split))
            if split != first_split:
                reason = f"puts {printable(path)} into the {split} split, but {first} into {first_split or 'none'}; "
                self._problem(place, reason + "the first counts", CONTRADICTION)
            if reading.values != values:
                reason = f"gives {printable(path)} {_shown(columns, values)}, but {first} gives "
                reason += f"{_shown(columns, reading.values)}; the first counts"
                self._problem(place, reason, CONTRADICTION)

    def _values(self, table: ImageTable, row: Row, columns: Sequence[NumberColumn]) -> tuple[float, ...] | None:
        """Return the numbers of a row; report a problem and return None if one is missing or not a number."""
        place = table.table.place(row.line)
        for column in columns:
            text = row.cell(column.column)
            if text.lower() in MISSING:
                self._problem(place, f"has no {printable(column.name)}", MISSING_NUMBER)
                return None
            if not isfinite(table.table.number(text)):
                reason = f"the {printable(column.name)} '{printable(text)}' is not a number"
                self._problem(place, reason, INVALID_NUMBER)
                return None
        return tuple(table.table.number(row.cell(column.column)) for column in columns)

    def _problem(self, place: str, reason: str, kind: str) -> None:
        self.images.problems.append(Problem(place, reason, kind))


def read(files: Files, image_size: ImageSize, names: Sequence[str] = ()) -> Annotations | None:
    """Return the images with numbers in a table; None if there is no table of images with a column of numbers.

    `names` are the columns that the user wants. Raise `DataError` if no table of images has them.
    """
    images = TableImages.of(files, image_size)
    if names and images.tables:
        _check_names(images.tables, names)
    tables, numbers = choose(images.tables, lambda table: number_columns(table, names))
    if not tables:
        return None
    columns = numbers if names else preferred(numbers)
    reader = _Reader(images)
    for table in tables:
        reader.read(table, columns)
    notes = [*_choice_notes(tables[0], columns, numbers, names), *unused_note(images.tables, tables)]
    images.note_unlisted({*reader.found}, tables)
    annotated, split_note, time_notes = _split_by_time(reader, files)
    settings: dict[str, Any] = {
        "labels": tuple(column.name for column in columns), "units": tuple(column.unit for column in columns)
    }  # fmt: skip
    if any(image.target.position != UNORDERED for image in annotated):
        settings["ordered"] = True
    notes = [*notes, *time_notes, *images.notes]
    return Annotations(annotated, settings, images.problems, notes, FORM, split_note=split_note)


def _check_names(tables: Sequence[ImageTable], names: Sequence[str]) -> None:
    """Raise `DataError` unless a table has all the columns that the user names."""
    if any(named_columns(table, names) is not None for table in tables):
        return
    missing = next((name for name in names if all(named_columns(table, [name]) is None for table in tables)), names[0])
    titles = listed((f"'{printable(title)}'" for title in tables[0].titles), 12)
    raise DataError(f"{tables[0].table.path} has no column '{printable(missing)}'; it has {titles}; name one of these")


def _choice_notes(
    table: ImageTable, used: Sequence[NumberColumn], numbers: Sequence[NumberColumn], names: Sequence[str]
) -> list[str]:
    """Return sentences about the choice of columns, unless the user made it or there is none."""
    notes = []
    if len(numbers) > len(used):
        others = [column for column in numbers if column not in used]
        notes.append(
            f"The column '{printable(used[0].name)}' is learned; {_names(others)} could be as well: name the columns "
            "to learn others."
        )
    elif len(used) > 1 and not names:
        notes.append(f"All columns of numbers are learned together: {_names(used)}; name columns to learn fewer.")
    if table.other_images:
        title = table.table.titles
        others_text = listed(f"'{printable(title[column])}'" for column in table.other_images)
        notes.append(f"Images are those of the column '{printable(title[table.image])}', not of {others_text}.")
    return notes


def _names(columns: Sequence[NumberColumn]) -> str:
    return listed((f"'{printable(column.name)}'" for column in columns), conjunction="and")


def _split_by_time(reader: _Reader, files: Files) -> tuple[list[AnnotatedImage], str, list[str]]:
    """Return the images with their splits, a phrase about these ("" if they are the data's), and sentences.

    Frames in the order of time are split by time, unless the data gives splits.
    """
    images = [AnnotatedImage(path, reading, split) for path, (_, reading, split) in reader.found.items()]
    order = None if kind_of(files) else time_order([image.path for image in images], files.read)
    if order is None:
        return images, "", []
    images = [replace(image, target=replace(image.target, position=place)) for place, image in enumerate(images)]
    if any(image.split for image in images):
        return images, "", ["The images are frames in the order of time; the data gives their splits."]
    splits = order.splits()
    dropped = [images[place].path for place, split in enumerate(splits) if not split]
    gap = f"{GAP_SECONDS:g} seconds" if order.seconds is not None else "1% of the frames"
    note = (
        f"The images are frames in the order of time. Between the splits {gap} are left out, so that no frame of one "
        f"is nearly a frame of another: {_ranges(dropped, splits)}."
    )
    used = [replace(image, split=split) for image, split in zip(images, splits, strict=True) if split]
    return used, SPLIT_NOTE, [note]


def _ranges(dropped: Sequence[str], splits: Sequence[str]) -> str:
    """Return the first and the last frame of each gap."""
    places = [place for place, split in enumerate(splits) if not split]
    starts = [number for number, place in enumerate(places) if number == 0 or place != places[number - 1] + 1]
    ranges = [dropped[start:end] for start, end in zip(starts, [*starts[1:], len(places)], strict=True)]
    texts = [f"{printable(paths[0])} to {printable(paths[-1])} ({len(paths)})" for paths in ranges]
    return listed(texts, conjunction="and")


def _shown(columns: Sequence[NumberColumn], values: Sequence[float]) -> str:
    return ", ".join(f"{printable(column.name)} {value:g}" for column, value in zip(columns, values, strict=True))
