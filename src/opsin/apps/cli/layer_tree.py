"""The table of a network's layers as a tree: nested layers under their parent, with sums, and equal blocks folded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from opsin import nn
from opsin.nn.paths import span

MIN_GROWING = 3
"""The fewest consecutive blocks with evenly growing channels that are folded."""


@dataclass(frozen=True)
class Entry:
    """One line of the tree: a row of the table, or a group of rows.

    `copies` equal blocks share one entry. The rows of the first block follow it.
    """

    name: str
    depth: int
    rows: tuple[nn.LayerRow, ...]
    copies: int = 1

    @property
    def kind(self) -> str:
        """The kind of the layer; empty for a group."""
        return "" if len(self.rows) > 1 else self.rows[0].kind


@dataclass(frozen=True)
class LayerGroup:
    """A layer that contains others: its name in its parent, and the rows of its contents."""

    name: str
    rows: tuple[nn.LayerRow, ...]
    prefix: int
    """The length of its path, including the dot."""

    @property
    def structure(self) -> tuple[tuple[str, str], ...]:
        """Relative paths and kinds of the layers, without sizes."""
        return tuple((row.path[self.prefix :], row.kind) for row in self.rows)

    def growth(self, other: LayerGroup) -> tuple[int, ...] | None:
        """Return how many channels each row has more than in `other`; None if anything else differs."""
        differences = tuple(_channels(a) - _channels(b) for a, b in zip(self.rows, other.rows, strict=True))
        same_size = all(a.output[2:] == b.output[2:] for a, b in zip(self.rows, other.rows, strict=True))
        costs = [[(row.parameters, row.macs) for row in group.rows] for group in (self, other)]
        return differences if same_size and (any(differences) or costs[0] == costs[1]) else None


def layer_tree(rows: Sequence[nn.LayerRow], prefix: int = 0, depth: int = 0) -> Iterator[Entry]:
    """Yield the entries for `rows`, with paths that omit their first `prefix` characters."""
    children = [_child(list(group), prefix) for _, group in groupby(rows, key=lambda row: _head(row, prefix))]
    index = 0
    while index < len(children):
        first, count = children[index], _repetitions(children[index:])
        if isinstance(first, LayerGroup):
            groups = [child for child in children[index : index + count] if isinstance(child, LayerGroup)]
            name = span([group.name for group in groups])
            yield Entry(name, depth, tuple(row for group in groups for row in group.rows), count)
            yield from layer_tree(first.rows, first.prefix, depth + 1)
        else:
            yield from (Entry(row.path[prefix:], depth, (row,)) for row in first)
        index += count


def _head(row: nn.LayerRow, prefix: int) -> str:
    return row.path[prefix:].partition(".")[0]


def _child(rows: list[nn.LayerRow], prefix: int) -> LayerGroup | list[nn.LayerRow]:
    """Return rows with the same head: a group if they belong to more than one layer."""
    name = _head(rows[0], prefix)
    is_one_layer = len({row.path for row in rows}) == 1
    return rows if is_one_layer else LayerGroup(name, tuple(rows), prefix + len(name) + 1)


def _repetitions(children: Sequence[LayerGroup | list[nn.LayerRow]]) -> int:
    """Count the groups, from the first on, that are equal or have evenly growing channels."""
    count, growth = 1, None
    for previous, group in pairwise(children):
        if not isinstance(previous, LayerGroup) or not isinstance(group, LayerGroup):
            break
        if previous.structure != group.structure:
            break
        difference = group.growth(previous)
        if difference is None or growth not in (None, difference):
            break
        count, growth = count + 1, difference
    return count if count >= MIN_GROWING or not any(growth or ()) else 1


def _channels(row: nn.LayerRow) -> int:
    """Return the size of the output's first axis after the batch; 0 if it has none."""
    return int(row.output[1]) if len(row.output) > 1 and isinstance(row.output[1], int) else 0
