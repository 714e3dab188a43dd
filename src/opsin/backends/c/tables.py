"""Constant tables of a C file besides its weights, and the terms that they add to its checksum."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

Words = NDArray[np.uint32]
Row = tuple[tuple[str, int], ...]


@dataclass(frozen=True, eq=False)
class Table:
    """An array of a C file, and its elements in the order of memory: int32, float32, uint16, float64, or strings."""

    name: str
    values: NDArray[np.generic] | tuple[str, ...]

    @classmethod
    def of(cls, name: str, values: ArrayLike, element: type[np.generic] = np.float32) -> Table:
        """Return a table of numbers."""
        return cls(name, np.asarray(values, element).ravel())

    @property
    def kind(self) -> str:
        """What its terms are: "words", "halves", "doubles" or "texts"."""
        if isinstance(self.values, tuple):
            return "texts"
        return {2: "halves", 4: "words", 8: "doubles"}[self.values.itemsize]

    @property
    def count(self) -> int:
        """The number of its elements."""
        return len(self.values)

    @property
    def terms(self) -> Words:
        """Words, each of which changes with any bit of an element.

        The halves of a double are added, because processors differ in their order. Strings are UTF-8 with a null.
        """
        if isinstance(self.values, tuple):
            return np.frombuffer(b"".join(text.encode() + b"\0" for text in self.values), np.uint8).astype(np.uint32)
        if self.kind == "halves":
            return self.values.astype(np.uint32)
        words = self.values.view(np.uint32)
        return words if self.kind == "words" else words.reshape(-1, 2).sum(1, dtype=np.uint32)


@dataclass
class Structures:
    """Constant structures of numbers, equal ones once: an array for each type."""

    fields: dict[str, Sequence[str]]
    """The members of each type, all int32, in order."""
    rows: dict[str, dict[Row, int]] = field(default_factory=dict)

    def place(self, structure: str, values: Iterable[tuple[str, int]]) -> str:
        """Return the address of a structure with these members; others are zero."""
        rows = self.rows.setdefault(structure, {})
        number = rows.setdefault(tuple((key, value) for key, value in values if value), len(rows))
        return f"&all_{structure}s[{number}]"

    @property
    def text(self) -> str:
        """The definitions of the arrays."""
        return "".join(
            f"static const {name} all_{name}s[{len(rows)}] = {{\n{''.join(map(_initializer, rows))}}};\n"
            for name, rows in self.rows.items()
        )

    @property
    def tables(self) -> tuple[Table, ...]:
        """The same arrays, in the order of `text`."""
        found = []
        for name, rows in self.rows.items():
            values = [[dict(row).get(key, 0) for key in self.fields[name]] for row in rows]
            found.append(Table.of(f"all_{name}s", values, np.int32))
        return tuple(found)


def _initializer(row: Row) -> str:
    return f"  {{{', '.join(f'.{key} = {value}' for key, value in row)}}},\n"
