"""`Several`: the kind of input that consists of several others, the columns of a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.data.several.augment import ChangedColumns
from opsin.data.several.columns import Column
from opsin.data.several.render import cell_html, render_cells
from opsin.data.several.trunks import Columns, Place
from opsin.data.several.values import column_sample
from opsin.inputs.kind import Augmentation, FileKind, Files, Shape, file_content
from opsin.inputs.registry import FILE_KINDS, IMAGE, NOUNS, SEVERAL
from opsin.nn import Layer
from opsin.tasks.task import Defaults

MAX_COLUMNS = 64
MAX_ROW_BYTES = 2**22


@dataclass(frozen=True)
class Several(FileKind):
    """Rows of several columns: uint8 1 × 1 × length, the bytes of one column's sample after those of the other.

    Programs take as many numbers: those of each column begin where its bytes do, and zeros fill the rest.
    """

    columns: tuple[Column, ...]

    kind: ClassVar[str] = SEVERAL
    nouns: ClassVar[tuple[str, str]] = NOUNS[SEVERAL]
    endings: ClassVar[tuple[str, ...]] = ()
    dtype: ClassVar[Any] = np.uint8

    @property
    def shape(self) -> Shape:
        return 1, 1, sum(column.bytes for column in self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    def parts(self) -> Iterator[tuple[Column, int]]:
        """Yield each column with the place at which its bytes begin."""
        begin = 0
        for column in self.columns:
            yield column, begin
            begin += column.bytes

    @classmethod
    def fitted(cls, files: Files) -> Self:
        """Raise `DataError`: columns are fitted by `data.several.scan`, which knows their cells."""
        raise DataError("rows of several columns come from a table; name its columns by --inputs")

    def describe(self) -> str:
        return "; ".join(column.describe() for column in self.columns)

    def read_with_remark(self, source: bytes | Path, name: str) -> tuple[NDArray[Any], str]:
        """Return the row that a JSON object holds, with the columns' names as keys; paths are those of files."""
        try:
            row = json.loads(file_content(source, name))
        except (ValueError, RecursionError):
            raise DataError(f"{name}: it is no JSON object with a value for {', '.join(self.names)}") from None
        return self.row(row, name), ""

    def row(self, values: Any, name: str) -> NDArray[Any]:
        """Return a mapping of the columns' names to their values as a sample.

        Raise `DataError` if a column is missing that was never empty in training, or for names of no column.
        """
        if not isinstance(values, Mapping):
            raise DataError(f"{name}: give a value for each of {', '.join(self.names)}, by its name")
        unknown = [str(key) for key in values if key not in self.names]
        if unknown:
            raise DataError(f"{name}: the model has no input '{unknown[0]}', only {', '.join(self.names)}")
        packed = [column.pack(self._sample(column, values.get(column.name), name)) for column in self.columns]
        return np.concatenate(packed).reshape(self.shape)

    def _sample(self, column: Column, value: Any, name: str) -> NDArray[Any] | None:
        if value is None or (isinstance(value, str) and not value.strip()):
            if column.optional:
                return None
            raise DataError(
                f"{name}: '{column.name}' is empty, and the model was trained with a value in every row; give one"
            )
        return column_sample(column, value, f"{name}, {column.name}")

    def from_value(self, value: Any, name: str) -> NDArray[Any] | None:
        """Return the sample of a mapping from the columns' names to values, or of a JSON object; None for others."""
        if isinstance(value, Mapping):
            return self.row(value, name)
        return None if isinstance(value, str) else super().from_value(value, name)

    def apply(self, samples: NDArray[Any]) -> NDArray[np.float32]:
        """Return the flags and the prepared numbers of the columns; those of empty cells are 0."""
        rows = samples.reshape(len(samples), -1)
        result = np.zeros(rows.shape, np.float32)
        for column, begin in self.parts():
            filled, values = column.unpack(rows[:, begin : begin + column.bytes])
            result[:, begin] = filled
            prepared = column.kind.apply(values).reshape(len(rows), -1)
            result[:, begin + 1 : begin + 1 + column.values] = np.where(filled[:, None], prepared, np.float32(0))
        return result.reshape(samples.shape)

    def front_end(self, input_shape: Shape) -> Layer:
        """Return the towers of the columns; the first image has places, if there is one."""
        places = {column.name: Place(begin, column.kind.shape) for column, begin in self.parts()}
        images = [column.name for column in self.columns if column.kind.kind == IMAGE]
        kinds = {column.name: column.kind for column in self.columns}
        return Columns(places, kinds, [*images, *places][0], input_shape)

    def augmentation(self, level: str) -> Augmentation:
        return ChangedColumns(tuple((column, begin, column.kind.augmentation(level)) for column, begin in self.parts()))

    def random(self, bits: NDArray[np.uint64]) -> NDArray[Any]:
        rows = []
        for column, begin in self.parts():
            samples = column.kind.random(np.ascontiguousarray(bits[:, begin : begin + column.values]))
            rows.append(np.stack([column.pack(sample) for sample in samples]))
        return np.concatenate(rows, axis=1).reshape(-1, *self.shape)

    def cells(self, sample: NDArray[Any]) -> list[tuple[Column, NDArray[Any] | None]]:
        """Return each column with its sample in a row; None if the cell is empty."""
        row, result = sample.reshape(1, -1), []
        for column, begin in self.parts():
            filled, values = column.unpack(row[:, begin : begin + column.bytes])
            result.append((column, values[0] if filled[0] else None))
        return result

    def render(self, sample: NDArray[Any]) -> NDArray[np.uint8]:
        return render_cells(self.cells(sample))

    def occluded(self, sample: NDArray[Any]) -> NDArray[Any]:
        """Return copies of a row with one column empty each."""
        copies = np.repeat(sample[None], len(self.columns), axis=0)
        for copy, (column, begin) in zip(copies, self.parts(), strict=True):
            copy[..., begin : begin + column.bytes] = 0
        return copies

    def html(self, sample: NDArray[Any], importance: NDArray[np.float64] | None) -> str:
        values = [0.0] * len(self.columns) if importance is None else importance.tolist()
        cells = zip(self.cells(sample), values, strict=True)
        return "".join(cell_html(escape(column.name), column, cell, value) for (column, cell), value in cells)

    @classmethod
    def network(cls, count: int) -> str:
        return "towers_film"

    @classmethod
    def defaults(cls, network: str, count: int) -> Defaults:
        return Defaults(
            network=network, side=0, pretrained=False, fallback=network, batch=64, learning_rate=0.001,
            weight_decay=0.01, augment="light", ema=0.99, max_epochs=40, patience=6,
            reason="a tower for each column",
        )  # fmt: skip

    def to_data(self) -> dict[str, Any]:
        return {"kind": self.kind, "columns": [column.to_data() for column in self.columns]}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return the kind that `to_data` described. Raise `DataError` for anything else."""
        described = data.get("columns")
        if not isinstance(described, list) or not all(isinstance(each, Mapping) for each in described):
            raise DataError("its columns are not described completely")
        columns = tuple(map(Column.from_data, described))
        result = cls(columns)
        if not 0 < len({*result.names}) == len(columns) <= MAX_COLUMNS or result.shape[2] > MAX_ROW_BYTES:
            raise DataError("the description of its columns makes no sense")
        return result

    def values(self, cells: Mapping[str, str], folder: Path) -> dict[str, Any]:
        """Return the values that the cells of a row stand for; paths are relative to `folder`."""
        kinds = {column.name: column.kind.kind for column in self.columns}
        return {name: folder / cell if cell and kinds.get(name) in FILE_KINDS else cell for name, cell in cells.items()}
