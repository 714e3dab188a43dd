"""Layout of a diagram: from the segments of a network to cells in rows as wide as a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from opsin.nn.paths import last_name, lineage, parent, span
from opsin.viz import captions
from opsin.viz.blocks import Block, Segment
from opsin.viz.branch_cells import FramedRow, IrregularCell, MergePoint
from opsin.viz.cells import FORK_WIDTH, LINE_HEIGHT, Cell, LabeledBox, OpenEdges, Row, Scale, extended
from opsin.viz.diagram import Diagram, DiagramText, Section
from opsin.viz.series_parallel import IrregularRegion, Parallel, Series, members
from opsin.viz.text_metrics import short_count
from opsin.viz.units import Unit

PAGE_WIDTH, BORDER = 1200.0, 24.0
MIN_CELL_GAP, MAX_CELL_GAP = 8.0, 30.0
"""Space between the cells of a row."""
ROW_GAP = 32.0
"""Space between rows, for the edge that connects them."""
MAX_NAME_LENGTH = 28


class CellFactory:
    """Makes the cells of a network's segments."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        units = [unit for segment in segments for unit in (segment.units if isinstance(segment, Block) else (segment,))]
        self.scale = Scale.of(units)
        self.unit_counts = Counter(path for unit in units for path in lineage(unit.path))
        self.name_counts = Counter(
            (base, last_name(self._outermost_path(unit))) for unit in units for base in lineage(unit.path)
        )

    def _outermost_path(self, unit: Unit) -> str:
        """Return the path of the outermost layer that consists of this unit alone."""
        return next((path for path in lineage(unit.path) if self.unit_counts[path] == 1), unit.path)

    def section(self, segment: Segment) -> str:
        """Return the layer that contains a unit outside blocks; empty for blocks."""
        path = "" if isinstance(segment, Block) else segment.path
        while path and self.unit_counts[path] == 1:
            path = parent(path)
        return path

    def of(self, segment: Segment, section: str) -> Cell:
        """Return the cell of a segment; names are relative to `section`."""
        if isinstance(segment, Unit):
            return self._labeled_box((segment,), (section,))
        row = Row(tuple(self._row(segment.copies, segment.paths)))
        if len(segment.copies) == 1 and not segment.paths[0]:
            return row
        return FramedRow(row, segment.paths[0], span(segment.paths), self._note(segment), len(segment.copies))

    def _note(self, block: Block) -> str:
        total = sum(unit.parameters for unit in block.units)
        return f"{short_count(total)} in total" if len(block.copies) > 1 else f"{short_count(total)}" if total else ""

    def _row(self, copies: tuple[Series, ...], bases: tuple[str, ...], label_right: bool = False) -> list[Cell]:
        """Return the cells of a series that stands for `copies`."""
        cells: list[Cell] = []
        pending: tuple[Parallel, ...] = ()
        for items in zip(*copies, strict=True):
            first = items[0]
            if isinstance(first, Parallel):
                pending = tuple(item for item in items if isinstance(item, Parallel))
            elif isinstance(first, IrregularRegion):
                cells.append(self._irregular_cell([item for item in items if isinstance(item, IrregularRegion)], bases))
            else:
                units = tuple(item for item in items if isinstance(item, Unit))
                if pending:
                    cells.append(self._merge_point(pending, units, bases))
                    pending = ()
                else:
                    cells.append(self._labeled_box(units, bases, label_right))
        return cells

    def _merge_point(self, copies: tuple[Parallel, ...], join: tuple[Unit, ...], bases: tuple[str, ...]) -> MergePoint:
        main = main_branch(copies[0])
        rows: list[list[Cell]] = []
        for number in range(len(copies[0].branches)):
            branches = tuple(copy.branches[number] for copy in copies)
            rows.append(self._row(branches, bases, label_right=number != main))
        if main is None:
            _align(rows)
        return MergePoint(tuple(Row(tuple(row)) for row in rows), main, self._labeled_box(join, bases))

    def _irregular_cell(self, copies: Sequence[IrregularRegion], bases: tuple[str, ...]) -> IrregularCell:
        units = copies[0].units
        position = {unit: number for number, unit in enumerate(units)}
        boxes = tuple(self._labeled_box(items, bases) for items in zip(*(copy.units for copy in copies), strict=True))
        reads = tuple(tuple(sorted({position.get(source, -1) for source in unit.sources})) for unit in units)
        return IrregularCell(
            boxes, reads, tuple(sorted(position[source] for source in copies[0].join.sources if source in position))
        )

    def _labeled_box(self, units: tuple[Unit, ...], bases: tuple[str, ...], label_right: bool = False) -> LabeledBox:
        names = [self._name(unit, base) for unit, base in zip(units, bases, strict=True)]
        return LabeledBox(units, span(names), self.scale.box_size(units[-1]), label_right)

    def _name(self, unit: Unit, base: str) -> str:
        """Return the name of a unit within `base`: the end of its path, if that is a word and unique."""
        path = self._outermost_path(unit)
        if base and not last_name(path).isdigit() and self.name_counts[base, last_name(path)] == 1:
            path = last_name(path)
        elif base:
            path = path.removeprefix(base).removeprefix(".")
        return path if len(path) <= MAX_NAME_LENGTH else f"…{path[1 - MAX_NAME_LENGTH :]}"


def _align(rows: Sequence[list[Cell]]) -> None:
    """Make the boxes of each column, counted from the end, equally wide."""
    for column in range(1, max(map(len, rows)) + 1):
        members = [row for row in rows if len(row) >= column]
        min_width = max(row[-column].width for row in members)
        for row in members:
            if isinstance(labeled_box := row[-column], LabeledBox):
                row[-column] = replace(labeled_box, min_width=min_width)


def main_branch(parallel: Parallel) -> int | None:
    """Return the branch to draw straight, if any: the longest one that has the shape of the join."""
    branches = [list(members(branch)) for branch in parallel.branches]
    if parallel.join.kind == captions.CONCAT and all(
        any(u.kind != captions.REARRANGE for u in units) for units in branches
    ):
        return None
    shapes = [units[-1].shape if units else parallel.fork.shape for units in branches]
    fitting = [number for number, shape in enumerate(shapes) if shape == parallel.join.shape]
    return max(fitting or range(len(branches)), key=lambda number: (len(branches[number]), number))


def lay_out(segments: Sequence[Segment]) -> Diagram:
    """Lay out a network's segments, from the top left corner on."""
    factory = CellFactory(segments)
    sections = _sections([factory.section(segment) for segment in segments])
    cells = [factory.of(segment, section) for segment, section in zip(segments, sections, strict=True)]
    breaks = row_breaks([cell.width for cell in cells], _stages(segments))
    rows = [Row(tuple(cells[begin:end]), MIN_CELL_GAP) for begin, end in breaks]
    diagram = Diagram(width=max(row.width for row in rows))
    open_edges: OpenEdges = ()
    line = row_end = 0.0
    for row, (begin, end) in zip(rows, breaks, strict=True):
        if end < len(cells) and end - begin > 1:
            row = replace(row, gap=min(MAX_CELL_GAP, MIN_CELL_GAP + (diagram.width - row.width) / (end - begin - 1)))
        upper = diagram.height + (ROW_GAP if begin else 0)
        previous_line, line = line, upper + LINE_HEIGHT * any(sections[begin:end]) + row.above
        if begin:
            left, right, middle = -FORK_WIDTH, row_end + FORK_WIDTH, upper - ROW_GAP / 2
            open_edges = extended(open_edges, (right, previous_line), (right, middle), (left, middle), (left, line))
        open_edges = row.place(diagram, 0.0, line, open_edges)
        row_end = row.width
        _write_sections(diagram, row, sections[begin:end], line)
        diagram.height = line + row.below
    return diagram


def _sections(layers: Sequence[str]) -> list[str]:
    """Return, for each segment, the layer that contains it and its neighbour; empty if it has none in common."""
    runs = [list(group) for _, group in groupby(layers)]
    return [layer if len(run) > 1 else "" for run in runs for layer in run]


def _write_sections(diagram: Diagram, row: Row, sections: Sequence[str], line: float) -> None:
    """Write the name of a layer above its units."""
    x = 0.0
    for section, group in groupby(zip(sections, row.cells, strict=True), key=lambda pair: pair[0]):
        cells = Row(tuple(cell for _, cell in group), row.gap)
        if section:
            y = line - row.above - 4
            diagram.sections.append(Section(x + 4, x + cells.width - 4, y))
            diagram.texts.append(DiagramText(x + 4, y - 4, section, "title", "start"))
        x += cells.width + row.gap


def _stages(segments: Sequence[Segment]) -> list[tuple[int, ...]]:
    """Return rows and columns of each segment's output; for poolings, which end a stage, those of their input."""
    stages: list[tuple[int, ...]] = []
    for segment in segments:
        unit = segment.units[-1] if isinstance(segment, Block) else segment
        ends = unit.kind in (captions.MAX_POOL, captions.AVERAGE_POOL) and bool(stages)
        stages.append(stages[-1] if ends else unit.shape[1:])
    return stages


def row_breaks(widths: Sequence[float], stages: Sequence[object]) -> list[tuple[int, int]]:
    """Return begin and end of each row: few, evenly filled rows that preferably begin where the feature maps shrink."""
    page = max(PAGE_WIDTH - 2 * BORDER, *widths)
    best: list[tuple[float, int]] = [(0.0, 0)]  # for each end, the cost of the rows so far, and the last row's begin
    for end in range(1, len(widths) + 1):
        choices = []
        for begin in range(end - 1, -1, -1):
            width = sum(widths[begin:end]) + MIN_CELL_GAP * (end - begin - 1)
            if width > page and begin < end - 1:
                break
            slack = (1 - width / page) ** 2 * (0.7 if end == len(widths) else 1)
            within = 0.15 * (begin > 0 and stages[begin] == stages[begin - 1])
            choices.append((best[begin][0] + 0.3 + slack + within, begin))
        best.append(min(choices))
    rows: list[tuple[int, int]] = []
    end = len(widths)
    while end:
        rows.append((best[end][1], end))
        end = best[end][1]
    return rows[::-1]
