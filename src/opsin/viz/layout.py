"""From the parts of a network to its image: cells, in rows as wide as a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from opsin.nn.paths import last_name, lineage, parent, span
from opsin.viz import labels
from opsin.viz.blocks import Block, Part
from opsin.viz.cells import LINE, TURN, Cell, Framed, IrregularCell, LabeledBox, Loose, MergePoint, Row, Scale, turned
from opsin.viz.diagram import Diagram, DiagramText, Section
from opsin.viz.flow import IrregularRegion, Parallel, Series, members
from opsin.viz.text_metrics import count
from opsin.viz.units import Unit

PAGE, BORDER = 1200.0, 24.0
BETWEEN, WIDEST = 8.0, 30.0
"""Between the cells of a row, and at most."""
ROUTE = 32.0
"""Between rows, for the edge that leads on."""
LONGEST_NAME = 28


class Cells:
    """Makes the cells of a network's parts."""

    def __init__(self, parts: Sequence[Part]) -> None:
        units = [unit for part in parts for unit in (part.units if isinstance(part, Block) else (part,))]
        self.scale = Scale.of(units)
        self.sizes = Counter(path for unit in units for path in lineage(unit.path))
        self.ends = Counter((base, last_name(self._own(unit))) for unit in units for base in lineage(unit.path))

    def _own(self, unit: Unit) -> str:
        """The path of the outermost layer that is this unit alone."""
        return next((path for path in lineage(unit.path) if self.sizes[path] == 1), unit.path)

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
            elif isinstance(first, IrregularRegion):
                cells.append(self._knot([item for item in alike if isinstance(item, IrregularRegion)], bases))
            else:
                units = tuple(item for item in alike if isinstance(item, Unit))
                if waiting:
                    cells.append(self._meeting(waiting, units, bases))
                    waiting = ()
                else:
                    cells.append(self._station(units, bases, beside))
        return cells

    def _meeting(self, copies: tuple[Parallel, ...], join: tuple[Unit, ...], bases: tuple[str, ...]) -> MergePoint:
        main = trunk(copies[0])
        rows: list[list[Cell]] = []
        for number in range(len(copies[0].branches)):
            branches = tuple(copy.branches[number] for copy in copies)
            rows.append(self._row(branches, bases, beside=number != main))
        if main is None:
            _align(rows)
        return MergePoint(tuple(Row(tuple(row)) for row in rows), main, self._station(join, bases))

    def _knot(self, copies: Sequence[IrregularRegion], bases: tuple[str, ...]) -> IrregularCell:
        units = copies[0].units
        place = {unit: number for number, unit in enumerate(units)}
        stations = tuple(self._station(alike, bases) for alike in zip(*(copy.units for copy in copies), strict=True))
        reads = tuple(tuple(sorted({place.get(source, -1) for source in unit.sources})) for unit in units)
        return IrregularCell(
            stations, reads, tuple(sorted(place[source] for source in copies[0].join.sources if source in place))
        )

    def _station(self, units: tuple[Unit, ...], bases: tuple[str, ...], beside: bool = False) -> LabeledBox:
        names = [self._name(unit, base) for unit, base in zip(units, bases, strict=True)]
        return LabeledBox(units, span(names), self.scale.form(units[-1]), beside)

    def _name(self, unit: Unit, base: str) -> str:
        """What a unit is called within `base`: by the end of its path, where that is a word and it alone has it."""
        path = self._own(unit)
        if base and not last_name(path).isdigit() and self.ends[base, last_name(path)] == 1:
            path = last_name(path)
        elif base:
            path = path.removeprefix(base).removeprefix(".")
        return path if len(path) <= LONGEST_NAME else f"…{path[1 - LONGEST_NAME :]}"


def _align(rows: Sequence[list[Cell]]) -> None:
    """Makes the stations of a column, counted from the end, equally wide."""
    for column in range(1, max(map(len, rows)) + 1):
        members = [row for row in rows if len(row) >= column]
        room = max(row[-column].width for row in members)
        for row in members:
            if isinstance(station := row[-column], LabeledBox):
                row[-column] = replace(station, room=room)


def trunk(parallel: Parallel) -> int | None:
    """The branch that is drawn straight, if any: the longest of those that give the join its shape."""
    branches = [list(members(branch)) for branch in parallel.branches]
    if parallel.join.kind == labels.CONCAT and all(any(u.kind != labels.MOVE for u in units) for units in branches):
        return None
    shapes = [units[-1].shape if units else parallel.fork.shape for units in branches]
    fitting = [number for number, shape in enumerate(shapes) if shape == parallel.join.shape]
    return max(fitting or range(len(branches)), key=lambda number: (len(branches[number]), number))


def lay_out(parts: Sequence[Part]) -> Diagram:
    """The image of a network's parts, from the top left corner on."""
    make = Cells(parts)
    sections = _sections([make.section(part) for part in parts])
    cells = [make.of(part, section) for part, section in zip(parts, sections, strict=True)]
    breaks = row_breaks([cell.width for cell in cells], _stages(parts))
    rows = [Row(tuple(cells[begin:end]), BETWEEN) for begin, end in breaks]
    image = Diagram(width=max(row.width for row in rows))
    loose: Loose = ()
    line = reached = 0.0
    for row, (begin, end) in zip(rows, breaks, strict=True):
        if end < len(cells) and end - begin > 1:
            row = replace(row, gap=min(WIDEST, BETWEEN + (image.width - row.width) / (end - begin - 1)))
        upper = image.height + (ROUTE if begin else 0)
        before, line = line, upper + LINE * any(sections[begin:end]) + row.up
        if begin:
            turn, back = reached + TURN, -TURN
            loose = turned(loose, (turn, before), (turn, upper - ROUTE / 2), (back, upper - ROUTE / 2), (back, line))
        loose = row.place(image, 0.0, line, loose)
        reached = row.width
        _write_sections(image, row, sections[begin:end], line)
        image.height = line + row.down
    return image


def _sections(layers: Sequence[str]) -> list[str]:
    """The layers that hold more than one unit in a row; the others' names are told in full."""
    runs = [list(group) for _, group in groupby(layers)]
    return [layer if len(run) > 1 else "" for run in runs for layer in run]


def _write_sections(image: Diagram, row: Row, sections: Sequence[str], line: float) -> None:
    """Over units of the same layer, the layer's name."""
    x = 0.0
    for section, group in groupby(zip(sections, row.cells, strict=True), key=lambda pair: pair[0]):
        cells = Row(tuple(cell for _, cell in group), row.gap)
        if section:
            y = line - row.up - 4
            image.sections.append(Section(x + 4, x + cells.width - 4, y))
            image.words.append(DiagramText(x + 4, y - 4, section, "title", "start"))
        x += cells.width + row.gap


def _stages(parts: Sequence[Part]) -> list[tuple[int, ...]]:
    """For each part the rows and columns of what it makes; those of what it reads for poolings, which end a stage."""
    stages: list[tuple[int, ...]] = []
    for part in parts:
        unit = part.units[-1] if isinstance(part, Block) else part
        ends = unit.kind in (labels.MAX_POOL, labels.AVERAGE_POOL) and bool(stages)
        stages.append(stages[-1] if ends else unit.shape[1:])
    return stages


def row_breaks(widths: Sequence[float], stages: Sequence[object]) -> list[tuple[int, int]]:
    """Where rows begin and end: few, evenly filled ones, which rather begin where the size of the maps changes."""
    page = max(PAGE - 2 * BORDER, *widths)
    best: list[tuple[float, int]] = [(0.0, 0)]  # for each end, the cost of the rows up to there, and the last's begin
    for end in range(1, len(widths) + 1):
        choices = []
        for begin in range(end - 1, -1, -1):
            width = sum(widths[begin:end]) + BETWEEN * (end - begin - 1)
            if width > page and begin < end - 1:
                break
            slack = (1 - width / page) ** 2 * (0.7 if end == len(widths) else 1)
            within = 0.15 * (begin > 0 and stages[begin] == stages[begin - 1])
            choices.append((best[begin][0] + 0.3 + slack + within, begin))
        best.append(min(choices))
    found: list[tuple[int, int]] = []
    end = len(widths)
    while end:
        found.append((best[end][1], end))
        end = best[end][1]
    return found[::-1]
