"""Cells: parts of a network that know how much room they need around the line on which they stand.

Every cell is entered on its left and left on its right, at the height of that line. `place` draws it, and takes and
gives the edges that are still without an end: the box they come from, and the corners behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import sqrt
from typing import Protocol, TypeAlias

from opsin.base.concurrency import lazy
from opsin.viz import labels
from opsin.viz.diagram import CIRCLE, STYLES, Box, Diagram, DiagramText, Edge, Form, Frame, Point
from opsin.viz.text_metrics import between, count, text_width
from opsin.viz.units import Unit

Loose: TypeAlias = "tuple[tuple[Box, tuple[Point, ...]], ...]"
"""Edges without an end yet."""

LINE = 13.0
"""From one line of text to the next."""
TALLEST, THICKEST, LONGEST = 110.0, 36.0, 80.0
"""Of boxes: for the most rows, the most channels and the most features of the network."""
ACROSS, RISE = 0.32, 0.2
"""Shares of the length for which a cuboid's depth goes right and up."""
MARGIN, GAP, TURN, EDGE = 9.0, 8.0, 11.0, 7.0
"""Beside a box, between lanes, where edges part or meet, and inside of a frame."""
BAND = 3.0
"""Width of the stripe that stands for a function around a unit's work."""


@dataclass(frozen=True)
class Scale:
    """The largest sizes of a network, which the boxes are measured by; lengths follow square roots."""

    places: int
    channels: int
    features: int

    @classmethod
    def of(cls, units: Sequence[Unit]) -> Scale:
        maps = [unit.shape for unit in units if not _vector(unit)]
        return cls(
            max((size for shape in maps for size in shape[1:3]), default=1),
            max((shape[0] for shape in maps), default=1),
            max((unit.shape[0] for unit in units if _vector(unit)), default=1),
        )

    def form(self, unit: Unit) -> Form:
        """The form of the box that shows what `unit` makes: a bar for numbers that have no places."""
        if unit.kind in (labels.ADD, labels.GATE):
            return CIRCLE
        bands = BAND * len(labels.stripes(unit.before) + labels.stripes(unit.after))
        if _vector(unit):
            return Form(bands + 5, max(12.0, LONGEST * sqrt(unit.shape[0] / self.features)), 3.0, 2.0)
        channels, rows, columns, *_ = (*unit.shape, 1, 1)
        high, deep = (max(9.0, TALLEST * sqrt(size / self.places)) for size in (rows, columns))
        return Form(bands + 3 + THICKEST * sqrt(channels / self.channels), high, ACROSS * deep, RISE * deep)


def _vector(unit: Unit) -> bool:
    return all(size == 1 for size in unit.shape[1:])


class Cell(Protocol):
    """Its width, and what it needs above and below the line."""

    @property
    def width(self) -> float: ...
    @property
    def up(self) -> float: ...
    @property
    def down(self) -> float: ...

    def place(self, image: Diagram, x: float, y: float, loose: Loose) -> Loose:
        """Draws the cell with its left end at `x`, on the line at `y`."""
        ...


def finish(image: Diagram, loose: Loose, box: Box, end: Point | None = None) -> None:
    """Ends edges at `box`: on its left, or at `end`."""
    image.edges += (Edge(source, box, (source.right, *corners, end or box.left)) for source, corners in loose)


def turned(loose: Loose, *corners: Point) -> Loose:
    """The same edges, continued by `corners`."""
    return tuple((source, (*before, *corners)) for source, before in loose)


@dataclass(frozen=True)
class LabeledBox:
    """A box with its words below it, or, with `beside`, on the right of it, above and below the edge that leaves."""

    units: tuple[Unit, ...]
    name: str
    form: Form
    beside: bool = False
    room: float = 0.0
    """The least width."""

    @lazy
    def lines(self) -> list[tuple[str, str]]:
        """The words and their styles."""
        unit = self.units[0]
        if self.form.round:
            return [(unit.after, "faint")] if unit.after else []
        found = [(self.name, "name")] if self.name and unit.kind != labels.CONCAT else []
        found += [(unit.caption, "plain"), (self._shape(), "plain")]
        if unit.parameters:
            found.append((between([count(u.parameters) for u in self.units]), "faint"))
        return found

    def _shape(self) -> str:
        """`64×56×56`, or `64–256×56×56` where the channels grow."""
        channels = between([str(unit.shape[0]) for unit in self.units])
        return "×".join((channels, *map(str, self.units[0].shape[1:])))

    @lazy
    def width(self) -> float:
        box = self.form.width + 2 * MARGIN
        label = max((text_width(text, *STYLES[style]) for text, style in self.lines), default=0.0)
        return max(self.room, box + 4 + label if self.beside else max(box, label + 8))

    @property
    def up(self) -> float:
        return max(self.form.reach, 2 * LINE) if self.beside else self.form.reach

    @property
    def down(self) -> float:
        return self.up + (4 + LINE * len(self.lines) if self.lines and not self.beside else 0)

    @property
    def begin(self) -> float:
        """From the cell's left end to the box."""
        return MARGIN if self.beside else (self.width - self.form.width) / 2

    def place(self, image: Diagram, x: float, y: float, loose: Loose) -> Loose:
        box = self.box(x, y)
        self.draw(image, box)
        finish(image, loose, box)
        return ((box, ()),)

    def box(self, x: float, y: float) -> Box:
        """The station's box, where the cell begins at `x`."""
        return Box(self.units, self.form, x + self.begin, y)

    def draw(self, image: Diagram, box: Box) -> None:
        """Draws the box and its words."""
        image.boxes.append(box)
        if not self.beside:
            for number, (text, style) in enumerate(self.lines):
                height = box.form.reach + LINE * (number + 1)
                image.words.append(DiagramText(box.x + box.form.width / 2, box.y + height, text, style))
            return
        above = (len(self.lines) + 1) // 2
        for number, (text, style) in enumerate(self.lines):
            height = 12 + LINE * (number - above) if number >= above else -5 - LINE * (above - 1 - number)
            image.words.append(DiagramText(box.bounds[2] + 4, box.y + height, text, style, "start"))


@dataclass(frozen=True)
class Row:
    """Cells one after the other. An empty one is a shortcut."""

    cells: tuple[Cell, ...]
    gap: float = 0.0

    @lazy
    def width(self) -> float:
        return sum(cell.width for cell in self.cells) + self.gap * max(0, len(self.cells) - 1)

    @lazy
    def up(self) -> float:
        return max((cell.up for cell in self.cells), default=2.0)

    @lazy
    def down(self) -> float:
        return max((cell.down for cell in self.cells), default=2.0)

    def place(self, image: Diagram, x: float, y: float, loose: Loose) -> Loose:
        for cell in self.cells:
            loose = cell.place(image, x, y, loose)
            x += cell.width + self.gap
        return loose


@dataclass(frozen=True)
class MergePoint:
    """Branches from one edge to the box in which they meet.

    The branch number `trunk` runs straight, the others above it; without a trunk they lie evenly around the line.
    """

    branches: tuple[Row, ...]
    trunk: int | None
    join: LabeledBox

    @lazy
    def lanes(self) -> list[float]:
        """The height of each branch, relative to the line."""
        if self.trunk is None:
            rows, middle = self.branches, len(self.branches) // 2
            tops = accumulate((row.up + row.down + GAP for row in rows[:-1]), initial=0.0)
            lanes = [top + row.up for top, row in zip(tops, rows, strict=True)]
            centre = (lanes[middle] + lanes[~middle]) / 2
            return [lane - centre for lane in lanes]
        lanes, top = [0.0] * len(self.branches), -max(self.branches[self.trunk].up, self.join.up)
        others = [number for number in range(len(self.branches)) if number != self.trunk]
        for number in sorted(others, key=lambda number: not self.branches[number].cells):  # shortcuts pass outside
            lanes[number] = top - GAP - self.branches[number].down
            top = lanes[number] - self.branches[number].up
        return lanes

    @lazy
    def length(self) -> float:
        """Of the longest branch."""
        return max(row.width for row in self.branches)

    @property
    def width(self) -> float:
        return 2 * TURN + self.length + self.join.width

    @lazy
    def up(self) -> float:
        return max(self.join.up, *(row.up - lane for row, lane in zip(self.branches, self.lanes, strict=True)))

    @lazy
    def down(self) -> float:
        return max(self.join.down, *(row.down + lane for row, lane in zip(self.branches, self.lanes, strict=True)))

    def place(self, image: Diagram, x: float, y: float, loose: Loose) -> Loose:
        fork, meet = x + TURN / 2, x + TURN * 1.5 + self.length
        join = self.join.box(x + 2 * TURN + self.length, y)
        for row, lane in zip(self.branches, self.lanes, strict=True):
            slack = self.length - row.width
            begin = x + TURN + (slack if self.trunk is None else slack / 2)
            entering = turned(loose, (fork, y), (fork, y + lane)) if lane else loose
            leaving = row.place(image, begin, y + lane, entering)
            if not lane:
                finish(image, leaving, join)
            elif self.trunk is None:
                finish(image, turned(leaving, (meet, y + lane), (meet, y)), join)
            else:
                finish(image, turned(leaving, (join.top[0], y + lane)), join, join.top)
        self.join.draw(image, join)
        return ((join, ()),)


@dataclass(frozen=True)
class IrregularCell:
    """Units that are no series and no branches: in a row, each with the places of those that it reads, -1 for the edge
    that enters; `last` are those that are read behind. What does not come from the neighbour passes above."""

    stations: tuple[LabeledBox, ...]
    reads: tuple[tuple[int, ...], ...]
    last: tuple[int, ...]

    @lazy
    def arcs(self) -> dict[tuple[int, int], int]:
        """The edges that pass above, from place to place, and the level that each has for itself."""
        edges = [(source, place) for place, sources in enumerate((*self.reads, self.last)) for source in sources]
        return {edge: level for level, edge in enumerate(edge for edge in edges if edge[1] - edge[0] > 1)}

    @lazy
    def row(self) -> Row:
        return Row(self.stations, gap=TURN)

    @property
    def width(self) -> float:
        return self.row.width + 2 * TURN

    @property
    def up(self) -> float:
        return self.row.up + GAP * (1 + len(self.arcs))

    @property
    def down(self) -> float:
        return self.row.down

    def place(self, image: Diagram, x: float, y: float, loose: Loose) -> Loose:
        made = {-1: (loose, x + TURN / 2)}
        place = x + TURN
        for number, station in enumerate(self.stations):
            box = station.box(place, y)
            station.draw(image, box)
            for source in self.reads[number]:
                before, fork = made[source]
                if (level := self.arcs.get((source, number))) is None:
                    finish(image, before, box)
                else:
                    height = y - self.row.up - GAP * (1 + level)
                    corners = (fork, y), (fork, height), (box.top[0], height)
                    finish(image, turned(before, *corners), box, box.top)
            place += station.width + TURN
            made[number] = ((box, ()),), place - TURN / 2
        return self._behind(y, made, place)

    def _behind(self, y: float, made: dict[int, tuple[Loose, float]], end: float) -> Loose:
        """The edges that leave."""
        leaving: Loose = ()
        for source in self.last:
            before, fork = made[source]
            if (level := self.arcs.get((source, len(self.stations)))) is not None:
                height = y - self.row.up - GAP * (1 + level)
                before = turned(before, (fork, y), (fork, height), (end - TURN / 2, height), (end - TURN / 2, y))
            leaving += before
        return leaving


@dataclass(frozen=True)
class Framed:
    """A row in a frame, with a title above it; more than one copy shows as a pile, with their number."""

    row: Row
    path: str
    title: str
    note: str
    copies: int

    @property
    def pile(self) -> float:
        """How far the frames of other copies look out."""
        return 6.0 if self.copies > 1 else 0.0

    @property
    def lines(self) -> list[tuple[str, str]]:
        """The words above the row and their styles."""
        found = [(text, style) for text, style in ((self.title, "title"), (self.note, "faint")) if text]
        return found or [("", "faint")]

    @lazy
    def width(self) -> float:
        widths = [text_width(text, *STYLES[style]) for text, style in self.lines]
        if self.copies > 1:
            widths[0] += text_width(f"×{self.copies}", *STYLES["badge"]) + 8
        return max(self.row.width, *widths) + 2 * EDGE + self.pile

    @property
    def up(self) -> float:
        return self.row.up + EDGE + LINE * len(self.lines) + self.pile

    @property
    def down(self) -> float:
        return self.row.down + EDGE

    def place(self, image: Diagram, x: float, y: float, loose: Loose) -> Loose:
        top, right = y - self.up + self.pile, x + self.width - self.pile
        image.frames.append(Frame((x, top, right, y + self.down), self.copies, self.path))
        for number, (text, style) in enumerate(self.lines, start=1):
            image.words.append(DiagramText(x + EDGE, top + LINE * number, text, style, "start"))
        if self.copies > 1:
            image.words.append(DiagramText(right - EDGE, top + LINE + 1, f"×{self.copies}", "badge", "end"))
        slack = self.width - self.pile - self.row.width
        return self.row.place(image, x + slack / 2, y, loose)
