"""Read images with several labels from tables, and from folders that share images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from opsin.base.errors import DataError
from opsin.base.formatting import listed
from opsin.tasks.annotations import AnnotatedImage, Annotations, Files, ImageSize, Problem
from opsin.tasks.multilabel.label_columns import (
    MINUS,
    NO,
    YES,
    LabelColumns,
    ListColumn,
    label_columns,
    list_column,
)
from opsin.tasks.multilabel.label_folders import images_in_folders
from opsin.tasks.problems import CONTRADICTION, INVALID_LABEL, UNREADABLE_IMAGE, printable
from opsin.tasks.tables.images import ImageTable, TableImages, choose, unused_note
from opsin.tasks.tables.table import Row

LIST_FORM, COLUMNS_FORM, FOLDERS_FORM = (
    "table of lists of labels",
    "table with a column for each label",
    "label folders",
)

Labels = tuple[str, ...]
Form = ListColumn | LabelColumns


def read(files: Files, image_size: ImageSize, names: Sequence[str] = ()) -> Annotations | None:
    """Return the images with several labels each; None if the files hold none.

    `names` are the columns that the user wants: one of lists, or those of zeros and ones. Raise `DataError` if no
    table of images has them.
    """
    images = TableImages.of(files, image_size)
    tables, form = choose(images.tables, lambda table: _form(table, names))
    if tables:
        return _read_tables(images, tables, form)
    if names:
        _check_names(images.tables, names)
        return None
    return _read_folders(files, image_size)


def _form(table: ImageTable, names: Sequence[str]) -> Form | None:
    if len(names) > 1:
        return label_columns(table, names)
    if names:
        return label_columns(table, names) or list_column(table, names[0])
    return list_column(table) or label_columns(table)


def _check_names(tables: Sequence[ImageTable], names: Sequence[str]) -> None:
    """Raise `DataError` if no table has a column of that name."""
    titles = {title.lower() for table in tables for title in table.table.titles}
    missing = [name for name in names if name.lower() not in titles]
    if tables and missing:
        known = listed((f"'{printable(title)}'" for title in tables[0].titles), 12)
        raise DataError(f"{tables[0].table.path} has no column '{printable(missing[0])}'; it has {known}; name one")


def _read_tables(images: TableImages, tables: Sequence[ImageTable], form: Form) -> Annotations:
    found: dict[str, tuple[str, Labels, str]] = {}
    uncertain = 0
    for table in tables:
        for row, path, split in images.rows(table):
            place = table.table.place(row.line)
            labels, unknown = _labels(row, form, images.problems, place)
            uncertain += unknown
            if labels is None:
                continue
            first, previous, _ = found.setdefault(path, (place, labels, split))
            if {*previous} != {*labels}:
                reason = f"gives {printable(path)} {_shown(labels)}, but {first} gives {_shown(previous)}; the first "
                images.problems.append(Problem(place, reason + "counts", CONTRADICTION))
    images.notes.extend(unused_note(images.tables, tables))
    images.note_unlisted({*found}, tables)
    if uncertain:
        images.notes.append(f"{uncertain:,} labels are -1, uncertain; they count as absent.")
    annotated = [AnnotatedImage(path, labels, split) for path, (_, labels, split) in found.items()]
    order = form.names if isinstance(form, LabelColumns) else ()
    return _annotations(annotated, images.problems, images.notes, order, COLUMNS_FORM if order else LIST_FORM)


def _labels(row: Row, form: Form, problems: list[Problem], place: str) -> tuple[Labels | None, int]:
    """Return the labels of a row, and the number of uncertain ones; None after a problem."""
    if isinstance(form, ListColumn):
        return tuple(map(printable, form.labels(row.cell(form.column)))), 0
    cells = [row.cell(column).lower() for column in form.columns]
    for name, cell in zip(form.names, cells, strict=True):
        if cell not in YES | NO | MINUS:
            reason = f"the label {printable(name)} is '{printable(cell)}', not 0 or 1"
            problems.append(Problem(place, reason, INVALID_LABEL))
            return None, 0
    uncertain = sum(cell in MINUS for cell in cells) if form.zeros else 0
    return tuple(printable(name) for name, cell in zip(form.names, cells, strict=True) if cell in YES), uncertain


def _read_folders(files: Files, image_size: ImageSize) -> Annotations | None:
    problems: list[Problem] = []
    annotated = []
    for image in images_in_folders(files):
        if image_size(image.path) is None:
            problems.append(Problem(image.path, "the image cannot be read", UNREADABLE_IMAGE))
        else:
            annotated.append(AnnotatedImage(image.path, tuple(map(printable, image.labels)), image.split))
    if not annotated:
        return None
    several = sum(len(image.target) > 1 for image in annotated)
    note = f"{several:,} images lie in the folders of several labels, so each image may have several."
    return _annotations(annotated, problems, [note], (), FOLDERS_FORM)


def _annotations(
    images: Sequence[AnnotatedImage], problems: Sequence[Problem], notes: Sequence[str], order: Labels, form: str
) -> Annotations:
    """Return the result, with labels in the `order` of the columns or else sorted, and notes about rare cases."""
    counts = Counter(label for image in images for label in image.target)
    labels = tuple(dict.fromkeys(map(printable, order))) or tuple(sorted(counts))
    notes = [*notes]
    if none := sum(not image.target for image in images):
        notes.append(f"{none:,} images have no label; they are examples without any.")
    if absent := [label for label in labels if not counts[label]]:
        notes.append(f"No image has the label {listed(absent, 5)}.")
    return Annotations(images, {"labels": labels}, problems, notes, form, {label: counts[label] for label in labels})


def _shown(labels: Labels) -> str:
    return listed(labels, 5) if labels else "no label"
