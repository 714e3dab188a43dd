"""Which parts of a network are framed together, and which frames stand for several.

A block is what one layer of layers holds around branches that meet again: a residual block, an inception module. What
lies beside blocks, or is built like its neighbours, is a block, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import TypeAlias

from opsin.base.concurrency import lazy
from opsin.nn.paths import common, lineage, parent
from opsin.viz.flow import Series, members
from opsin.viz.repeats import Look, repetition
from opsin.viz.units import Unit


@dataclass(frozen=True)
class Block:
    """Consecutive items of the network's series, and those after them that are alike: `copies`, the first included.

    `paths` are those of the layers that hold them, one for each copy; empty where there is none of their own.
    """

    paths: tuple[str, ...]
    copies: tuple[Series, ...]

    @property
    def items(self) -> Series:
        return self.copies[0]

    @lazy
    def units(self) -> tuple[Unit, ...]:
        """Those of all copies."""
        return tuple(unit for copy in self.copies for unit in members(copy))


Part: TypeAlias = "Unit | Block"
"""What a row of the image is made of."""


def blocks(items: Series) -> list[Part]:
    """The network's series, with its blocks framed and folded."""
    elements = list(_elements(items))
    parts: list[tuple[str, Series]] = []
    for path, group in groupby(zip(frames(elements), elements, strict=True), key=lambda pair: pair[0]):
        found = [element for _, element in group]
        parts += [(path, tuple(chain(*found)))] if path else [("", element) for element in found]
    return list(_folded(parts))


def _folded(parts: Sequence[tuple[str, Series]]) -> Iterator[Part]:
    """The parts, each with the path of its frame, in order; repetitions put together."""
    looks = [Look.of(items) for _, items in parts]
    place = 0
    while place < len(parts):
        period, count = repetition(looks, place)
        copies = [parts[begin : begin + period] for begin in range(place, place + period * count, period)]
        place += period * count
        block = Block(
            tuple(copy[0][0] if period == 1 else "" for copy in copies),
            tuple(tuple(chain(*(items for _, items in copy))) for copy in copies),
        )
        alone = len(block.units) == 1 and isinstance(block.items[0], Unit)
        yield block.units[0] if alone else block


def _elements(items: Series) -> Iterator[Series]:
    """The items one by one, but branches together with the unit in which they meet."""
    waiting: Series = ()
    for item in items:
        waiting += (item,)
        if isinstance(item, Unit):
            yield waiting
            waiting = ()


def frames(elements: Sequence[Series]) -> list[str]:
    """For each element, the path of the block that it belongs to, or nothing."""
    return _Frames(elements).paths


class _Frames:
    """The paths of layers in a series of elements, while blocks are sought among them."""

    def __init__(self, elements: Sequence[Series]) -> None:
        self.units = [list(members(element)) for element in elements]
        self.sizes = Counter(path for units in self.units for unit in units for path in lineage(unit.path))
        self.homes = [self._home(units) for units in self.units]
        self.branching = [not isinstance(element[0], Unit) for element in elements]
        self.cores = Counter(
            path for home, core in zip(self.homes, self.branching, strict=True) if core for path in lineage(home)
        )
        self.within: dict[str, list[int]] = {}
        for number, home in enumerate(self.homes):
            for path in lineage(home):
                self.within.setdefault(path, []).append(number)
        self.paths = [""] * len(elements)
        self._frame_cores()
        self._frame_neighbours()

    def _home(self, units: list[Unit]) -> str:
        """The path of the smallest layer that holds `units` and is no unit by itself."""
        home = common([unit.path for unit in units])
        while home and self.sizes[home] == 1:
            home = parent(home)
        return home

    def _frame_cores(self) -> None:
        """Around every place where branches meet, the largest layer that holds no other such place."""
        chains = {}
        for number, home in enumerate(self.homes):
            if self.branching[number]:
                chains[number] = [path for path in lineage(home) if self.cores[path] == 1]
        depth = max((path.count(".") for paths in chains.values() for path in paths[:1]), default=0)
        for number, paths in chains.items():
            if paths:  # outermost first; as deep as the other blocks are, if it can be
                self._frame(next((path for path in paths if path.count(".") == depth), paths[0]))
            else:
                self.paths[number] = self._of_branches(number)

    def _of_branches(self, number: int) -> str:
        """The largest layer that holds the branches alone, where several blocks meet in the layer around them."""
        home = self.homes[number]
        if sum(core and home == other for core, other in zip(self.branching, self.homes, strict=True)) == 1:
            return ""
        inside = [unit.path for unit in self.units[number][:-1]]
        inner = lineage(common(inside))[len(lineage(home)) :]
        return next((path for path in inner if self.sizes[path] == len(inside)), "")

    def _frame_neighbours(self) -> None:
        """Layers of plain units, where they lie beside blocks, or where others beside them are built alike."""
        beside = {(path.count("."), parent(parent(path))) for path in self.paths if path}
        kinds = {}
        for path, places in self.within.items():
            if 1 < len(places) == self.sizes[path] and not any(self.paths[n] or self.branching[n] for n in places):
                words = tuple(self.units[number][0].kind for number in places)
                kinds[path] = (path.count("."), parent(parent(path)), words)
        alike = Counter(kinds.values())
        for path in sorted(kinds, key=lambda path: -path.count(".")):
            same = [other for other in lineage(path) if self.within[other] == self.within[path]]
            chosen = next(
                (other for other in same if kinds[other][:2] in beside), path if alike[kinds[path]] > 1 else ""
            )
            if chosen and not any(self.paths[number] for number in self.within[path]):
                self._frame(chosen)

    def _frame(self, path: str) -> None:
        for number in self.within[path]:
            self.paths[number] = self.paths[number] or path
