"""Which parts of a network are framed together, and which of them are alike and so are drawn once.

A block is what one layer of layers holds around branches that meet again: a residual block, an inception module. What
lies beside blocks in the same layer, or is built like its neighbour there, is a block, too. Blocks that follow each
other and are equal, or whose channels grow evenly, are folded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from os.path import commonprefix
from typing import TypeAlias

from opsin.seeing.flow import Parallel, Series, Tangle, members
from opsin.seeing.units import Unit

LONGEST_PERIOD = 8


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

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """Those of all copies."""
        return tuple(unit for copy in self.copies for unit in members(copy))


Part: TypeAlias = "Unit | Block"
"""What a row of the picture is made of."""


def blocks(items: Series) -> list[Part]:
    """The network's series, with its blocks framed and folded."""
    elements = list(_elements(items))
    paths = _Frames(elements).paths
    parts: list[Block] = []
    for path, group in groupby(zip(paths, elements, strict=True), key=lambda pair: pair[0]):
        found = [element for _, element in group]
        parts += [Block((path,), (sum(found, ()),))] if path else [Block(("",), (element,)) for element in found]
    return [_plain(part) for part in _folded(parts)]


def span(paths: Sequence[str]) -> str:
    """One name for several: `layer3.1–35` for layer3.1, layer3.2, …, layer3.35."""
    first, last = paths[0], paths[-1]
    if first == last:
        return first
    begin = commonprefix([first, last])
    begin = begin.rstrip("0123456789")
    end = commonprefix([first[::-1], last[::-1]])[::-1].lstrip("0123456789")
    end = end[max(0, len(begin) + len(end) - min(len(first), len(last))) :]
    return f"{begin}{first[len(begin) : len(first) - len(end)]}–{last[len(begin) : len(last) - len(end)]}{end}"


def _elements(items: Series) -> Iterator[Series]:
    """The items one by one, but branches together with the unit in which they meet."""
    waiting: Series = ()
    for item in items:
        waiting += (item,)
        if isinstance(item, Unit):
            yield waiting
            waiting = ()


class _Frames:
    """For each element of a series, the path of the block that it belongs to, or nothing."""

    def __init__(self, elements: Sequence[Series]) -> None:
        self.elements = elements
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
        """The layer that holds the branches alone, for blocks that meet in the layer around them."""
        path = common([unit.path for unit in self.units[number][:-1]])
        return path if path != self.homes[number] else ""

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
            if (kinds[path][:2] in beside or alike[kinds[path]] > 1) and not any(
                self.paths[number] for number in self.within[path]
            ):
                self._frame(path)

    def _frame(self, path: str) -> None:
        for number in self.within[path]:
            self.paths[number] = self.paths[number] or path


def lineage(path: str) -> list[str]:
    """The path and those of the layers around it, outermost first; nothing for the network's own."""
    names = path.split(".")
    return [".".join(names[: count + 1]) for count in range(len(names))] if path else []


def parent(path: str) -> str:
    return path.rpartition(".")[0]


def common(paths: Iterable[str]) -> str:
    """The innermost layer that holds all `paths`, or is one of them."""
    return ".".join(commonprefix([path.split(".") for path in paths]))


def _plain(part: Block) -> Part:
    """A unit where a block is no more than that."""
    (first, *others), single = part.items, len(part.copies) == 1
    return first if single and not others and isinstance(first, Unit) else part


def _folded(parts: Sequence[Block]) -> Iterator[Block]:
    """The parts in order, repetitions put together."""
    looks = [Look.of(part.items) for part in parts]
    place = 0
    while place < len(parts):
        period, count = _repetition(looks, place)
        taken = [parts[place + copy * period : place + (copy + 1) * period] for copy in range(count)]
        copies = tuple(tuple(item for part in copy for item in part.items) for copy in taken)
        paths = tuple(copy[0].paths[0] if period == 1 else "" for copy in taken)
        yield Block(paths, copies)
        place += period * count


def _repetition(looks: Sequence[Look], place: int) -> tuple[int, int]:
    """The period and the count of the repetition that begins at `place` and saves most; (1, 1) where none is worth it."""
    best, best_saved = (1, 1), 0
    for period in range(1, min(LONGEST_PERIOD, (len(looks) - place) // 2) + 1):
        first = looks[place : place + period]
        count = 1
        while looks[place + count * period : place + (count + 1) * period] == first:
            count += 1
        if period == 1:
            count = max(count, _growing(looks, place))
        saved = (count - 1) * sum(len(look.shapes) for look in first)
        if saved > best_saved and saved >= (3 if any(look.branches for look in first) or period == 1 < len(first[0].shapes) else 5):
            best, best_saved = (period, count), saved
    return best


def _growing(looks: Sequence[Look], place: int) -> int:
    """How many from `place` on are built alike, with channels that grow by the same numbers from one to the next."""
    first = looks[place]
    count = 1
    while place + count < len(looks) and first.branches and looks[place + count].words == first.words:
        steps = looks[place + count].steps(looks[place + count - 1])
        if steps is None or (count > 1 and steps != looks[place + 1].steps(first)):
            break
        count += 1
    return count if count > 2 else 1


@dataclass(frozen=True)
class Look:
    """What decides whether parts are drawn once: what their units do, how they hang together, their sizes."""

    words: tuple[object, ...]
    shapes: tuple[tuple[int, ...], ...]
    parameters: tuple[int, ...]
    branches: bool

    @classmethod
    def of(cls, items: Series) -> Look:
        units = list(members(items))
        branches = any(not isinstance(item, Unit) for item in items)
        return cls(_words(items), tuple(u.shape for u in units), tuple(u.parameters for u in units), branches)

    def steps(self, other: Look) -> tuple[int, ...] | None:
        """By how many channels each unit is larger than in `other`; nothing where places differ, too."""
        if any(a[1:] != b[1:] for a, b in zip(self.shapes, other.shapes, strict=True)):
            return None
        return tuple(a[0] - b[0] for a, b in zip(self.shapes, other.shapes, strict=True))


def _words(items: Series) -> tuple[object, ...]:
    found: list[object] = []
    for item in items:
        if isinstance(item, Unit):
            found.append((item.kind, item.caption, item.before, item.after))
        elif isinstance(item, Tangle):
            number = {unit: place for place, unit in enumerate(item.units)}
            found.append(tuple((u.caption, *(number.get(s, -1) for s in u.sources)) for u in item.units))
        else:
            found.append(tuple(_words(branch) for branch in item.branches))
    return tuple(found)
