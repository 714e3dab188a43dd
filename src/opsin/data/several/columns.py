"""`Column`: one input of a row, with its kind; and the kinds that a column may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.data.several.image import ColumnImage
from opsin.data.several.number import Number
from opsin.inputs.registry import IMAGE, NUMBER, SIGNAL, SOUND, TEXT, find_kind

COLUMN_KINDS = (IMAGE, SOUND, SIGNAL, TEXT, NUMBER)


def column_kind(name: str) -> Any:
    """Return the class of a kind of column. Raise `DataError` if there is none of this name."""
    if name not in COLUMN_KINDS:
        raise DataError(f"there are no columns of the kind '{name}', only {', '.join(COLUMN_KINDS)}")
    return {IMAGE: ColumnImage, NUMBER: Number}.get(name) or find_kind(name)


@dataclass(frozen=True)
class Column:
    """A column of rows: its `name` and the `kind` of its cells. If it is `optional`, cells may be empty.

    In a row of bytes it has one that is 1, or 0 for an empty cell, and those of the kind's sample.
    """

    name: str
    kind: Any
    optional: bool = False

    @property
    def values(self) -> int:
        """The numbers in a sample."""
        return int(prod(self.kind.shape))

    @property
    def bytes(self) -> int:
        """The bytes in a row: the flag and the sample."""
        return 1 + self.values * int(np.dtype(self.kind.dtype).itemsize)

    def pack(self, sample: NDArray[Any] | None) -> NDArray[np.uint8]:
        """Return a sample as bytes; None is an empty cell."""
        if sample is None:
            return np.zeros(self.bytes, np.uint8)
        data = np.frombuffer(np.ascontiguousarray(sample, self.kind.dtype).tobytes(), np.uint8)
        return np.concatenate([np.ones(1, np.uint8), data])

    def unpack(self, rows: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[Any]]:
        """Return which of N cells are filled, and their samples N × C × H × W, from N × bytes."""
        samples = np.ascontiguousarray(rows[:, 1:]).view(self.kind.dtype)
        return rows[:, 0] > 0, samples.reshape(-1, *self.kind.shape)

    def describe(self) -> str:
        """Return what its cells are used as: "question: 10 words …"."""
        return f"{self.name}: {self.kind.describe()}{', or empty' if self.optional else ''}"

    def to_data(self) -> dict[str, Any]:
        return {"name": self.name, "optional": self.optional, "kind": self.kind.to_data()}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Column:
        """Return the column that `to_data` described. Raise `DataError` for anything else."""
        try:
            name, optional, described = str(data["name"]), bool(data["optional"]), data["kind"]
            kind = column_kind(str(described["kind"]))
        except (KeyError, TypeError):
            raise DataError("its columns are not described completely") from None
        return cls(name, kind.from_data(described), optional)
