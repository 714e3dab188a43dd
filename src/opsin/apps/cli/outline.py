"""A network's rows as an outline: layers under the layer that holds them, with sums, and equal blocks only once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from opsin import nn
from opsin.nn.paths import span


@dataclass(frozen=True)
class Entry:
    """A row of the table, or several under one head. `copies` blocks that are alike share an entry with the rows of the
    first of them below it."""

    name: str
    depth: int
    rows: tuple[nn.LayerRow, ...]
    copies: int = 1

    @property
    def kind(self) -> str:
        return "" if len(self.rows) > 1 else self.rows[0].kind


@dataclass(frozen=True)
class LayerGroup:
    """A layer that holds others: its name in the layer around it, and what is in it."""

    name: str
    rows: tuple[nn.LayerRow, ...]
    prefix: int
    """The length of its path, with the dot."""

    @property
    def look(self) -> tuple[tuple[str, str], ...]:
        """What is in it, without sizes."""
        return tuple((row.path[self.prefix :], row.kind) for row in self.rows)

    def growth(self, other: LayerGroup) -> tuple[int, ...] | None:
        """By how many channels each row has more than in `other`; nothing where anything else is different."""
        steps = tuple(_channels(a) - _channels(b) for a, b in zip(self.rows, other.rows, strict=True))
        same = all(a.output[2:] == b.output[2:] for a, b in zip(self.rows, other.rows, strict=True))
        costs = [[(row.parameters, row.macs) for row in block.rows] for block in (self, other)]
        return steps if same and (any(steps) or costs[0] == costs[1]) else None


def outline(rows: Sequence[nn.LayerRow], prefix: int = 0, depth: int = 0) -> Iterator[Entry]:
    """The entries for `rows`, whose paths are told from `prefix` on."""
    parts = [_part(list(group), prefix) for _, group in groupby(rows, key=lambda row: _head(row, prefix))]
    place = 0
    while place < len(parts):
        first, count = parts[place], _alike(parts[place:])
        if isinstance(first, LayerGroup):
            blocks = [part for part in parts[place : place + count] if isinstance(part, LayerGroup)]
            name = span([block.name for block in blocks])
            yield Entry(name, depth, tuple(row for block in blocks for row in block.rows), count)
            yield from outline(first.rows, first.prefix, depth + 1)
        else:
            yield from (Entry(row.path[prefix:], depth, (row,)) for row in first)
        place += count


def _head(row: nn.LayerRow, prefix: int) -> str:
    return row.path[prefix:].partition(".")[0]


def _part(rows: list[nn.LayerRow], prefix: int) -> LayerGroup | list[nn.LayerRow]:
    """Rows with the same head: a block, where they are of more than one layer."""
    name = _head(rows[0], prefix)
    one = len({row.path for row in rows}) == 1
    return rows if one else LayerGroup(name, tuple(rows), prefix + len(name) + 1)


def _alike(parts: Sequence[LayerGroup | list[nn.LayerRow]]) -> int:
    """How many blocks from the first on are equal; or, if at least three, have channels that grow evenly."""
    count, growth = 1, None
    for before, block in pairwise(parts):
        if not (isinstance(before, LayerGroup) and isinstance(block, LayerGroup) and before.look == block.look):
            break
        grown = block.growth(before)
        if grown is None or growth not in (None, grown):
            break
        count, growth = count + 1, grown
    return count if count > 2 or not any(growth or ()) else 1


def _channels(row: nn.LayerRow) -> int:
    """What follows the batch in the output's shape."""
    return int(row.output[1]) if len(row.output) > 1 and isinstance(row.output[1], int) else 0
