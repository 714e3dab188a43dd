"""Blocks: units that are drawn in one frame. Repeated blocks are folded: one frame stands for all of them.

A block is a composite layer around branches that merge again: a residual block, an inception module. Composite layers
next to blocks, and those built like their neighbours, are blocks, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import TypeAlias

from opsin.base.concurrency import lazy
from opsin.nn.paths import common, lineage, parent
from opsin.viz.repeats import SegmentSignature, repetition
from opsin.viz.series_parallel import Series, members
from opsin.viz.units import Unit


@dataclass(frozen=True)
class Block:
    """Consecutive items of a series, and the identical ones that follow them: `copies`, including the first.

    `paths` are the layers of the copies; a path is empty if no single layer contains the copy.
    """

    paths: tuple[str, ...]
    copies: tuple[Series, ...]

    @property
    def items(self) -> Series:
        return self.copies[0]

    @lazy
    def units(self) -> tuple[Unit, ...]:
        """The units of all copies."""
        return tuple(unit for copy in self.copies for unit in members(copy))


Segment: TypeAlias = "Unit | Block"
"""An element of a row of the diagram."""


def find_blocks(items: Series) -> list[Segment]:
    """Return a network's series as units and blocks, with repeated blocks folded."""
    elements = list(_elements(items))
    framed: list[tuple[str, Series]] = []
    for path, group in groupby(zip(frame_paths(elements), elements, strict=True), key=lambda pair: pair[0]):
        inside = [element for _, element in group]
        framed += [(path, tuple(chain(*inside)))] if path else [("", element) for element in inside]
    return list(_fold(framed))


def _fold(framed: Sequence[tuple[str, Series]]) -> Iterator[Segment]:
    """Fold repetitions; `framed` are series with the paths of their frames."""
    signatures = [SegmentSignature.of(items) for _, items in framed]
    start = 0
    while start < len(framed):
        period, count = repetition(signatures, start)
        copies = [framed[begin : begin + period] for begin in range(start, start + period * count, period)]
        start += period * count
        block = Block(
            tuple(copy[0][0] if period == 1 else "" for copy in copies),
            tuple(tuple(chain(*(items for _, items in copy))) for copy in copies),
        )
        is_unit = len(block.units) == 1 and isinstance(block.items[0], Unit)
        yield block.units[0] if is_unit else block


def _elements(items: Series) -> Iterator[Series]:
    """Yield the items one by one, but branches together with the unit in which they merge."""
    pending: Series = ()
    for item in items:
        pending += (item,)
        if isinstance(item, Unit):
            yield pending
            pending = ()


def frame_paths(elements: Sequence[Series]) -> list[str]:
    """Return, for each element, the path of its block; empty if it is in none."""
    return _FrameFinder(elements).paths


class _FrameFinder:
    """Finds the layers of a series of elements that become blocks."""

    def __init__(self, elements: Sequence[Series]) -> None:
        self.units = [list(members(element)) for element in elements]
        self.unit_counts = Counter(path for units in self.units for unit in units for path in lineage(unit.path))
        self.containers = [self._container(units) for units in self.units]
        self.has_branches = [not isinstance(element[0], Unit) for element in elements]
        self.merge_counts = Counter(
            path
            for container, merges in zip(self.containers, self.has_branches, strict=True)
            if merges
            for path in lineage(container)
        )
        self.elements_in: dict[str, list[int]] = {}
        for number, container in enumerate(self.containers):
            for path in lineage(container):
                self.elements_in.setdefault(path, []).append(number)
        self.paths = [""] * len(elements)
        self._frame_merges()
        self._frame_neighbours()

    def _container(self, units: list[Unit]) -> str:
        """Return the path of the smallest layer that contains `units` and is not a unit itself."""
        container = common([unit.path for unit in units])
        while container and self.unit_counts[container] == 1:
            container = parent(container)
        return container

    def _frame_merges(self) -> None:
        """Frame, around every merge of branches, the largest layer without other merges."""
        candidates = {}
        for number, container in enumerate(self.containers):
            if self.has_branches[number]:
                candidates[number] = [path for path in lineage(container) if self.merge_counts[path] == 1]
        depth = max((path.count(".") for paths in candidates.values() for path in paths[:1]), default=0)
        for number, paths in candidates.items():
            if paths:  # outermost first; at the depth of the other blocks, if possible
                self._frame(next((path for path in paths if path.count(".") == depth), paths[0]))
            else:
                self.paths[number] = self._branch_layer(number)

    def _branch_layer(self, number: int) -> str:
        """Return the largest layer around the branches without their merge, if its container has several merges."""
        container = self.containers[number]
        if (
            sum(merges and container == other for merges, other in zip(self.has_branches, self.containers, strict=True))
            == 1
        ):
            return ""
        inside = [unit.path for unit in self.units[number][:-1]]
        inner = lineage(common(inside))[len(lineage(container)) :]
        return next((path for path in inner if self.unit_counts[path] == len(inside)), "")

    def _frame_neighbours(self) -> None:
        """Frame layers of plain units that are next to blocks, or next to layers of the same structure."""
        levels = {(path.count("."), parent(parent(path))) for path in self.paths if path}
        structures = {}
        for path, indices in self.elements_in.items():
            if 1 < len(indices) == self.unit_counts[path] and not any(
                self.paths[n] or self.has_branches[n] for n in indices
            ):
                kinds = tuple(self.units[number][0].kind for number in indices)
                structures[path] = (path.count("."), parent(parent(path)), kinds)
        counts = Counter(structures.values())
        for path in sorted(structures, key=lambda path: -path.count(".")):
            equivalent = [other for other in lineage(path) if self.elements_in[other] == self.elements_in[path]]
            match = next(
                (other for other in equivalent if other in structures and structures[other][:2] in levels),
                path if counts[structures[path]] > 1 else "",
            )
            if match and not any(self.paths[number] for number in self.elements_in[path]):
                self._frame(match)

    def _frame(self, path: str) -> None:
        for number in self.elements_in[path]:
            self.paths[number] = self.paths[number] or path
