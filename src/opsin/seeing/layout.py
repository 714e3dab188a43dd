"""From the parts of a network to its picture: cells, in rows as wide as a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from opsin.seeing import words
from opsin.seeing.blocks import Block, Part, lineage, parent, span
from opsin.seeing.cells import LINE, Cell, Framed, Knot, Loose, Meeting, Row, Scale, Station, turned
from opsin.seeing.flow import Parallel, Series, Tangle, members
from opsin.seeing.lettering import count
from opsin.seeing.picture import Picture, Section, Words
from opsin.seeing.units import Unit

PAGE, BORDER = 1200.0, 24.0
BETWEEN, WIDEST = 8.0, 30.0
"""Between the cells of a row, and at most."""
ROUTE = 32.0
"""Between rows, for the edge that leads on."""


class Cells:
    """Makes the cells of a network's parts."""

    def __init__(self, parts: Sequence[Part]) -> None:
        units = [unit for part in parts for unit in (part.units if isinstance(part, Block) else (part,))]
        self.scale = Scale.of(units)
        self.sizes = Counter(path for unit in units for path in lineage(unit.path))

    def section(self, part: Part) -> str:
        """The layer that holds a unit which is no part of a block."""
        path = "" if isinstance(part, Block) else part.path
        while path and self.sizes[path] == 1:
            path = parent(path)
        return path

    def of(self, part: Part, section: str) -> Cell:
        """The cell of a part; the names of units are told from within `section`."""
        if isinstance(part, Unit):
            return self._station((part,), (section,))
        row = Row(tuple(self._row(part.copies, part.paths)))
        if len(part.copies) == 1 and not part.paths[0]:
            return row
        return Framed(row, part.paths[0], span(part.paths), self._note(part), len(part.copies))

    def _note(self, block: Block) -> str:
        total = sum(unit.parameters for unit in block.units)
        return f"{count(total)} in all" if len(block.copies) > 1 else f"{count(total)}" if total else ""

    def _row(self, copies: tuple[Series, ...], bases: tuple[str, ...], beside: bool = False) -> list[Cell]:
        """The cells of a series, of which there are `copies`."""
        cells: list[Cell] = []
        waiting: tuple[Parallel, ...] = ()
        for alike in zip(*copies, strict=True):
            first = alike[0]
            if isinstance(first, Parallel):
                waiting = tuple(item for item in alike if isinstance(item, Parallel))
            elif isinstance(first, Tangle):
                join = first
                cells.append(self._knot([item for item in alike if isinstance(item, Tangle)], bases))
            else:
                units = tuple(item for item in alike if isinstance(item, Unit))
                if waiting:
                    cells.append(self._meeting(waiting, units, bases))
                    waiting = ()
                else:
                    cells.append(self._station(units, bases, beside))
        return cells

    def _meeting(self, copies: tuple[Parallel, ...], join: tuple[Unit, ...], bases: tuple[str, ...]) -> Meeting:
        main = trunk(copies[0])
        rows = []
        for number in range(len(copies[0].branches)):
            branches = tuple(copy.branches[number] for copy in copies)
            rows.append(Row(tuple(self._row(branches, bases, beside=number != main))))
        return Meeting(tuple(rows), main, self._station(join, bases))

    def _knot(self, copies: Sequence[Tangle], bases: tuple[str, ...]) -> Knot:
        units = copies[0].units
        place = {unit: number for number, unit in enumerate(units)}
        stations = tuple(self._station(alike, bases) for alike in zip(*(copy.units for copy in copies), strict=True))
        reads = tuple(tuple(sorted({place.get(source, -1) for source in unit.sources})) for unit in units)
        return Knot(stations, reads, tuple(sorted(place[source] for source in copies[0].join.sources if source in place)))

    def _station(self, units: tuple[Unit, ...], bases: tuple[str, ...], beside: bool = False) -> Station:
        names = [self._name(unit, base) for unit, base in zip(units, bases, strict=True)]
        return Station(units, span(names), self.scale.form(units[-1]), beside)

    def _name(self, unit: Unit, base: str) -> str:
        """The outermost layer that is this unit alone, as it is called within `base`."""
        if unit.kind == words.INPUT_KIND:
            return ""
        path = next((path for path in lineage(unit.path) if self.sizes[path] == 1), unit.path)
        return path.removeprefix(base).removeprefix(".") if base else path


def trunk(parallel: Parallel) -> int | None:
    """The branch that is drawn straight, if any: the longest of those that give the join its shape."""
    branches = [list(members(branch)) for branch in parallel.branches]
    if parallel.join.kind == words.CONCAT and all(any(u.kind != words.MOVE for u in units) for units in branches):
        return None
    shapes = [units[-1].shape if units else parallel.fork.shape for units in branches]
    fitting = [number for number, shape in enumerate(shapes) if shape == parallel.join.shape]
    return max(fitting or range(len(branches)), key=lambda number: (len(branches[number]), number))


def lay_out(parts: Sequence[Part]) -> Picture:
    """The picture of a network's parts, without heading and legend."""
    make = Cells(parts)
    sections = _sections([make.section(part) for part in parts])
    cells = [make.of(part, section) for part, section in zip(parts, sections, strict=True)]
    picture = Picture()
    rows = _rows([cell.width for cell in cells], _stages(parts))
    y, loose = 0.0, ()
    for number, row in enumerate(rows):
        ...
    return picture
