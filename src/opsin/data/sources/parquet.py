"""Read images from Parquet files as written by Hugging Face `datasets`. Requires pyarrow, an extra.

Images are a column of bytes, or of structs with a field "bytes". The names of the classes are in the metadata of the
schema (https://huggingface.co/docs/datasets/about_dataset_features). Without pyarrow, a `DataError` says what to
install.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opsin.base.concurrency import ForkLock
from opsin.base.errors import DataError
from opsin.base.optional import require
from opsin.data.file_io import MAX_IMAGE_BYTES, stamp, too_large_error
from opsin.data.items import DAMAGED, MISSING, UNLABELLED, UNSPLIT, FileProblem, Item, ItemError, printable
from opsin.data.sources.names import quoted_list, split_mentioned

IMAGE_NAMES = ("image", "img", "picture", "photo", "images", "pixels")
LABEL_NAMES = ("label", "labels", "class", "category", "target", "fine_label", "y", "label_id")

MAX_CACHED_GROUPS = 2
"""The number of row groups kept in memory; adjacent rows are then read once."""


def _pyarrow(module: str = "pyarrow") -> Any:
    text = "Parquet files need pyarrow; install it with: pip install 'opsin[parquet]'"
    return require(module, DataError, text)


class ParquetTable:
    """A Parquet file with a column of images and a column of labels, which may be missing unless it `needs_labels`."""

    def __init__(self, path: Path, needs_labels: bool = True) -> None:
        self.path = path
        try:
            self.file = _pyarrow("pyarrow.parquet").ParquetFile(path)
        except (_pyarrow().ArrowException, OSError, ValueError) as error:
            raise DataError(
                f"{path} is not a Parquet file, or damaged or cut short ({_first_line(error)}); fetch it again"
            ) from None
        schema = self.file.schema_arrow
        self.features = _features(schema)
        self.image = self._column(schema, IMAGE_NAMES, _holds_images, "images (bytes)")
        self.label = self._label_column(schema, needs_labels)
        self.groups = [self.file.metadata.row_group(number).num_rows for number in range(self.file.num_row_groups)]

    def _label_column(self, schema: Any, needs_labels: bool) -> str | None:
        """Return the column of labels. Unless it `needs_labels`, only one that is named after them, or None."""
        named = {*LABEL_NAMES, *(name for name in self.features if self._feature(name) == "ClassLabel")}
        if not needs_labels and named.isdisjoint(field.name for field in schema if _is_label(field.type)):
            return None
        return self._column(schema, LABEL_NAMES, _is_label, "classes (numbers or text)")

    def _feature(self, name: str) -> object:
        """Return the kind of a column in Hugging Face's description, None if there is none."""
        return self.features.get(name, {}).get("_type")

    def _column(self, schema: Any, names: Sequence[str], accepts: Any, content: str) -> str:
        columns = [field.name for field in schema if accepts(field.type)]
        matches = [name for name in names if name in columns]
        classes = [name for name in columns if self._feature(name) in ("ClassLabel", "Image")]
        choices = classes[:1] or matches[:1] or (columns if len(columns) == 1 else [])
        if not choices:
            raise DataError(
                f"{self.path} has the columns {quoted_list(schema.names)}; call the one with the {content} '{names[0]}'"
            )
        return str(choices[0])

    def labels(self) -> list[str]:
        """Return the label of each row, "" if it has none."""
        if self.label is None:
            return [""] * sum(self.groups)
        names = self.features.get(self.label, {}).get("names") or []
        values = self.file.read(columns=[self.label]).column(0).to_pylist()
        labels = [names[v] if isinstance(v, int) and 0 <= v < len(names) else v for v in values]
        return ["" if v is None or v == -1 else printable(str(v)).strip() for v in labels]

    def group(self, number: int) -> Any:
        """Return the images of a row group, an array of bytes or null."""
        kind = self.file.schema_arrow.field(self.image).type
        structure = _pyarrow().types.is_struct(kind)
        name = f"{self.image}.bytes" if structure else self.image
        column = self.file.read_row_group(number, columns=[name]).column(0).combine_chunks()
        return column.field("bytes") if structure else column


class Parquet:
    """A `Source` of the rows of Parquet files; those without labels are left out if it `needs_labels`.

    Holds up to `MAX_CACHED_GROUPS` row groups of images in memory.
    """

    def __init__(self, name: str, paths: Sequence[Path], folder: Path, needs_labels: bool = True) -> None:
        self.name = name
        self.items: list[Item] = []
        self.problems: list[FileProblem] = []
        self._needs_labels = needs_labels
        self._tables = [ParquetTable(path, needs_labels) for path in paths]
        self._stamps = [stamp(path) for path in paths]
        self._positions: list[tuple[int, int, int]] = []
        self._groups: OrderedDict[tuple[int, int], Any] = OrderedDict()
        self._lock = ForkLock()
        for number, table in enumerate(self._tables):
            self._add(number, table, printable(table.path.relative_to(folder)))

    def _add(self, number: int, table: ParquetTable, file: str) -> None:
        split = split_mentioned(file) or UNSPLIT
        labels = iter(table.labels())
        row = 0
        for group, rows in enumerate(table.groups):
            for within in range(rows):
                name, label = f"{file}/{row}", next(labels)
                row += 1
                if label or not self._needs_labels:
                    self.items.append(Item(name, label, split))
                    self._positions.append((number, group, within))
                else:
                    self.problems.append(FileProblem(name, "no label", UNLABELLED))

    def read(self, index: int) -> bytes:
        number, group, within = self._positions[index]
        name = self.items[index].name
        try:
            with self._lock.lock:
                value = self._group(number, group)[within]
                data = value.as_py() if value.is_valid else None
        except (_pyarrow().ArrowException, OSError, ValueError) as error:
            text = f"{name} cannot be read, as the Parquet file is damaged ({_first_line(error)}); fetch it again"
            raise ItemError(text, FileProblem(name, "damaged in the Parquet file", DAMAGED)) from None
        if data is None:
            text = f"{name} does not hold the bytes of an image; save the data set with embedded images"
            raise ItemError(text, FileProblem(name, "no image in this row", MISSING))
        if len(data) > MAX_IMAGE_BYTES:
            raise too_large_error(name, len(data))
        return bytes(data)

    def _group(self, number: int, group: int) -> Any:
        key = number, group
        if key not in self._groups:
            while len(self._groups) >= MAX_CACHED_GROUPS:
                self._groups.popitem(last=False)
            self._groups[key] = self._tables[number].group(group)
        self._groups.move_to_end(key)
        return self._groups[key]

    def stamp(self, index: int) -> str:
        number, group, within = self._positions[index]
        file_stamp = self._stamps[number]
        return f"{file_stamp}.{group:x}.{within:x}" if file_stamp else ""


def open_parquet(paths: Sequence[Path], folder: Path, name: str, needs_labels: bool = True) -> Parquet:
    """Open these files, with names relative to `folder`."""
    return Parquet(name, sorted(paths), folder, needs_labels)


def _features(schema: Any) -> dict[str, Any]:
    """Return Hugging Face's description of the columns; empty if it is missing or invalid."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: value for name, value in features.items() if isinstance(value, dict)}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def _holds_images(kind: Any) -> bool:
    if _pyarrow().types.is_struct(kind):
        return any(field.name == "bytes" and _is_bytes(field.type) for field in kind)
    return _is_bytes(kind)


def _is_bytes(kind: Any) -> bool:
    return bool(_pyarrow().types.is_binary(kind) or _pyarrow().types.is_large_binary(kind))


def _is_label(kind: Any) -> bool:
    types = _pyarrow().types
    return bool(
        types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind) or types.is_dictionary(kind)
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
