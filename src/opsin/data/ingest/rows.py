"""Load rows of several columns: every different cell is read once, an image with many questions is decoded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.data.dataset import Dataset
from opsin.data.ingest.annotated import annotated_dataset
from opsin.data.ingest.classes import ClassIngest
from opsin.data.ingest.decode import record_problems
from opsin.data.ingest.file_index import DECODED, FAILED, FileIndex
from opsin.data.ingest.sample_groups import joined
from opsin.data.ingest.samples import MAX_SAMPLE_BYTES
from opsin.data.ingest.scan import Scan
from opsin.data.items import EMPTY, TEST, VALIDATION, FileProblem
from opsin.data.parallel import Progress, for_each
from opsin.data.pixels import ImageView
from opsin.data.several import Several
from opsin.data.several.columns import Column, column_kind
from opsin.data.sources.annotated import AnnotatedSource
from opsin.data.sources.rows import Rows
from opsin.data.store import DIGEST_BYTES
from opsin.inputs.kind import Files
from opsin.inputs.registry import FILE_KINDS
from opsin.tasks.registry import REGRESSION, find_task

OPTIONAL_SHARE = 0.05
"""If so many training rows have an empty cell in a column, the network learns what an empty cell means. In columns with
fewer, they are problems."""


def load_rows(
    source: Rows, given: Several | None, size: int | None, seed: int, on_progress: Progress | None, path: str
) -> Dataset:
    """Load rows; `given` is the input of a model, if they are for one, and otherwise `size` the side of images."""
    begin = perf_counter()
    input = given or fitted_rows(source, size)
    source = source.as_kinds([column.kind.kind for column in input.columns])
    result = scan_rows(source, input, on_progress)
    together = linked_rows(source, result.usable)
    if source.quantity:
        return annotated_dataset(measured_rows(source), result, seed, None, path, begin, input, together)
    return ClassIngest(source, result, seed, None, path, input, together=together).dataset(begin)


def fitted_rows(source: Rows, size: int | None) -> Several:
    """Return the kinds of the columns, with the settings that suit the training rows; `size` is the side of images."""
    rows = [number for number, item in enumerate(source.items) if item.split not in (TEST, VALIDATION)]
    columns = []
    for place, (name, kind) in enumerate(zip(source.columns, source.kinds, strict=True)):
        cells = [source.cells[row][place] for row in rows]
        filled = [cell for cell in cells if cell and "\0" not in cell]
        if not filled:
            raise DataError(f"{source.name}: the column '{name}' is empty in all rows that are trained on")
        used = list(dict.fromkeys(filled)) if kind in FILE_KINDS else filled
        options = {"size": size} if kind == "image" else {}
        try:
            fitted = column_kind(kind).fitted(Files(used, _reader(source, place, used), options))
        except DataError as error:
            raise DataError(f"{source.name}, column '{name}': {error}") from None
        columns.append(Column(name, fitted, len(cells) - len(filled) >= OPTIONAL_SHARE * len(cells)))
    return Several(tuple(columns))


def _reader(source: Rows, place: int, cells: Sequence[str]) -> Any:
    return lambda number: source.content(place, cells[number])


def scan_rows(source: Rows, input: Several, on_progress: Progress | None) -> Scan:
    """Read all cells of a source. Rows with a cell that cannot be used become problems."""
    file_index = FileIndex.unknown(len(source.items))
    file_index.state[:] = DECODED
    digests = [blake2b(digest_size=DIGEST_BYTES) for _ in source.items]
    cells = []
    for place, column in enumerate(input.columns):
        read = _read_column(source, column, place, file_index, on_progress)
        for row, number in enumerate(read.rows.tolist()):
            digests[row].update(bytes([place]) + read.digests[number])
        cells.append(read)
    file_index.digests[:] = [np.frombuffer(digest.digest(), np.uint8) for digest in digests]
    usable = np.flatnonzero(file_index.state != FAILED)
    return Scan(file_index, usable, RowView(cells, usable, input.shape), 0)


@dataclass(frozen=True, eq=False)
class ColumnCells:
    """The different cells of a column: `rows` are the numbers of the cells of all rows.

    `samples` are their bytes; None if they take too much memory, and are read on each access.
    """

    source: Rows
    column: Column
    place: int
    values: Sequence[str]
    rows: NDArray[np.intp]
    digests: Sequence[bytes]
    samples: NDArray[np.uint8] | None

    def packed(self, numbers: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Return the bytes of the cells with these numbers."""
        if self.samples is not None:
            return self.samples[numbers]
        return np.stack([self.read(self.values[number]) for number in numbers.tolist()])

    def read(self, value: str) -> NDArray[np.uint8]:
        if not value:
            return self.column.pack(None)
        data = self.source.content(self.place, value)
        return self.column.pack(self.column.kind.read_with_remark(data, value)[0])


def _read_column(
    source: Rows, column: Column, place: int, file_index: FileIndex, on_progress: Progress | None
) -> ColumnCells:
    """Return the cells of a column, and record the rows whose cell cannot be used."""
    numbers: dict[str, int] = {}
    rows = np.array([numbers.setdefault(cells[place], len(numbers)) for cells in source.cells], np.intp)
    values, digests = list(numbers), [b""] * len(numbers)
    is_small = len(values) * column.bytes <= MAX_SAMPLE_BYTES
    samples = np.zeros((len(values) if is_small else 0, column.bytes), np.uint8)
    faults = FileIndex.unknown(len(values))

    def process(number: int) -> None:
        value = values[number]
        if not value:
            if not column.optional:
                faults.fail(number, FileProblem("", "is empty", EMPTY))
            return
        with record_problems(faults, number, value):
            data = source.content(place, value)
            digests[number] = blake2b(data, digest_size=DIGEST_BYTES).digest()
            sample, remark = column.kind.read_with_remark(data, value)
            if is_small:
                samples[number] = column.pack(sample)
            if remark:
                faults.remarks[number] = remark

    for_each(process, range(len(values)), on_progress)
    for row, number in enumerate(rows.tolist()):
        if number in faults.problems:
            problem = faults.problems[number]
            what = f"'{column.name}'" if not problem.name else f"'{column.name}' ({problem.name[:80]}):"
            file_index.fail(row, FileProblem(source.items[row].name, f"{what} {problem.reason}", problem.kind))
        elif number in faults.remarks:
            file_index.remarks[row] = f"'{column.name}': {faults.remarks[number]}"
    return ColumnCells(source, column, place, values, rows, digests, samples if is_small else None)


class RowView(ImageView):
    """The rows with these numbers: the bytes of their cells one after the other."""

    compact = True

    def __init__(self, cells: Sequence[ColumnCells], rows: NDArray[np.intp], shape: tuple[int, int, int]) -> None:
        super().__init__(len(rows), shape)
        self.cells, self.rows = cells, rows

    def read(self, indices: NDArray[np.intp]) -> NDArray[np.uint8]:
        rows = self.rows[indices]
        return np.concatenate([each.packed(each.rows[rows]) for each in self.cells], axis=1).reshape(
            -1, *self.shape[1:]
        )

    def take(self, indices: NDArray[np.intp]) -> ImageView:
        return RowView(self.cells, self.rows[indices], (1, 1, self.shape[3]))


def linked_rows(source: Rows, usable: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return for each usable row the first one that it shares a file with, directly or by others.

    They belong to one split: otherwise a network is measured on images that it has seen.
    """
    linked = np.arange(len(usable), dtype=np.intp)
    for place, kind in enumerate(source.kinds):
        if kind in FILE_KINDS:
            linked = joined(linked, [source.cells[row][place] for row in usable.tolist()])
    return linked


def measured_rows(source: Rows) -> AnnotatedSource:
    """Return rows whose answers are numbers as samples annotated for regression."""
    task = find_task(REGRESSION)
    names, splits = ([getattr(item, key) for item in source.items] for key in ("name", "split"))
    annotations = task.annotations(source.quantity, names, source.numbers, splits)
    return AnnotatedSource(source.name, source.items, source.problems, source.tree, annotations, task, source.notes)
