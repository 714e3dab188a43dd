"""Cells: rectangles of a diagram that know how much space they need above and below their line.

Edges enter a cell on its left and leave it on its right, at the height of the line. `place` draws the cell. It takes
the open edges (the box that each comes from, and its corners so far) and returns those that leave the cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Protocol, TypeAlias

from opsin.base.concurrency import lazy
from opsin.viz import captions
from opsin.viz.diagram import CIRCLE, STYLES, Box, BoxSize, Diagram, DiagramText, Edge
from opsin.viz.svg import Point
from opsin.viz.text_metrics import short_count, text_width, value_range
from opsin.viz.units import Unit

OpenEdges: TypeAlias = "tuple[tuple[Box, tuple[Point, ...]], ...]"
"""Edges that have no target yet: their sources, and their corners so far."""

LINE_HEIGHT = 13.0
MAX_HEIGHT = 110.0
"""Height of a box with as many rows as the largest feature map of the network."""
MAX_THICKNESS = 36.0
"""Thickness of a box with the most channels."""
MAX_BAR_LENGTH = 80.0
"""Length of a bar with the most features."""
MIN_HEIGHT, MIN_BAR_LENGTH = 9.0, 12.0
DEPTH_X, DEPTH_Y = 0.32, 0.2
"""The extent of the depth of a box to the right and upwards, as a share of its length."""
MARGIN = 9.0
"""Space to the left and to the right of a box."""
LANE_GAP = 8.0
"""Space between two branches."""
FORK_WIDTH = 11.0
"""Space in which edges fork or merge."""
FRAME_PADDING = 7.0
STRIPE_WIDTH = 3.0
"""Width of the stripe for a function before or after a unit's main operation."""


@dataclass(frozen=True)
class Scale:
    """The largest sizes in a network. Boxes are drawn relative to them; lengths grow with the square root."""

    max_side: int
    max_channels: int
    max_features: int

    @classmethod
    def of(cls, units: Sequence[Unit]) -> Scale:
        maps = [unit.shape for unit in units if not _vector(unit)]
        return cls(
            max((size for shape in maps for size in shape[1:3]), default=1),
            max((shape[0] for shape in maps), default=1),
            max((unit.shape[0] for unit in units if _vector(unit)), default=1),
        )

    def box_size(self, unit: Unit) -> BoxSize:
        """Return the size of the box for the output of `unit`; vectors, which have no spatial axes, are bars."""
        if unit.kind in (captions.ADD, captions.MULTIPLY):
            return CIRCLE
        bands = STRIPE_WIDTH * len(captions.stripes(unit.before) + captions.stripes(unit.after))
        if _vector(unit):
            return BoxSize(
                bands + 5, max(MIN_BAR_LENGTH, MAX_BAR_LENGTH * sqrt(unit.shape[0] / self.max_features)), 3.0, 2.0
            )
        channels, rows, columns, *_ = (*unit.shape, 1, 1)
        height, depth = (max(MIN_HEIGHT, MAX_HEIGHT * sqrt(size / self.max_side)) for size in (rows, columns))
        return BoxSize(
            bands + 3 + MAX_THICKNESS * sqrt(channels / self.max_channels), height, DEPTH_X * depth, DEPTH_Y * depth
        )


def _vector(unit: Unit) -> bool:
    return all(size == 1 for size in unit.shape[1:])


class Cell(Protocol):
    """A rectangle with a width, and a height above and below the line."""

    @property
    def width(self) -> float: ...
    @property
    def above(self) -> float: ...
    @property
    def below(self) -> float: ...

    def place(self, diagram: Diagram, x: float, y: float, open_edges: OpenEdges) -> OpenEdges:
        """Draw the cell with its left end at `x` and its line at `y`; return the edges that leave it."""
        ...


def close_edges(diagram: Diagram, open_edges: OpenEdges, box: Box, end: Point | None = None) -> None:
    """End edges at `box`: at its left side, or at `end`."""
    diagram.edges += (Edge(source, box, (source.right, *corners, end or box.left)) for source, corners in open_edges)


def extended(open_edges: OpenEdges, *corners: Point) -> OpenEdges:
    """Extend edges by `corners`."""
    return tuple((source, (*before, *corners)) for source, before in open_edges)


@dataclass(frozen=True)
class LabeledBox:
    """A box with its label below, or, if `label_right`, to its right, above and below the edge that leaves."""

    units: tuple[Unit, ...]
    name: str
    size: BoxSize
    label_right: bool = False
    min_width: float = 0.0

    @lazy
    def lines(self) -> list[tuple[str, str]]:
        """The lines of the label, and their styles."""
        unit = self.units[0]
        if self.size.is_circle:
            return [(unit.after, "faint")] if unit.after else []
        lines = [(self.name, "name")] if self.name and unit.kind != captions.CONCAT else []
        lines += [(unit.caption, "plain"), (self._shape(), "plain")]
        if unit.parameters:
            lines.append((value_range([short_count(u.parameters) for u in self.units]), "faint"))
        return lines

    def _shape(self) -> str:
        """Return `64×56×56`, or `64–256×56×56` if the channels grow from copy to copy."""
        channels = value_range([str(unit.shape[0]) for unit in self.units])
        return "×".join((channels, *map(str, self.units[0].shape[1:])))

    @lazy
    def width(self) -> float:
        box = self.size.width + 2 * MARGIN
        label = max((text_width(text, *STYLES[style]) for text, style in self.lines), default=0.0)
        return max(self.min_width, box + 4 + label if self.label_right else max(box, label + 8))

    @property
    def above(self) -> float:
        return max(self.size.half_height, 2 * LINE_HEIGHT) if self.label_right else self.size.half_height

    @property
    def below(self) -> float:
        return self.above + (4 + LINE_HEIGHT * len(self.lines) if self.lines and not self.label_right else 0)

    @property
    def begin(self) -> float:
        """Distance from the cell's left end to the box."""
        return MARGIN if self.label_right else (self.width - self.size.width) / 2

    def place(self, diagram: Diagram, x: float, y: float, open_edges: OpenEdges) -> OpenEdges:
        box = self.box(x, y)
        self.draw(diagram, box)
        close_edges(diagram, open_edges, box)
        return ((box, ()),)

    def box(self, x: float, y: float) -> Box:
        """Return the box, for a cell that begins at `x`."""
        return Box(self.units, self.size, x + self.begin, y)

    def draw(self, diagram: Diagram, box: Box) -> None:
        """Draw the box and its label."""
        diagram.boxes.append(box)
        if not self.label_right:
            for number, (text, style) in enumerate(self.lines):
                height = box.size.half_height + LINE_HEIGHT * (number + 1)
                diagram.texts.append(DiagramText(box.x + box.size.width / 2, box.y + height, text, style))
            return
        above = (len(self.lines) + 1) // 2
        for number, (text, style) in enumerate(self.lines):
            height = 12 + LINE_HEIGHT * (number - above) if number >= above else -5 - LINE_HEIGHT * (above - 1 - number)
            diagram.texts.append(DiagramText(box.bounds[2] + 4, box.y + height, text, style, "start"))


@dataclass(frozen=True)
class Row:
    """Cells one after the other. A row without cells is a shortcut."""

    cells: tuple[Cell, ...]
    gap: float = 0.0

    @lazy
    def width(self) -> float:
        return sum(cell.width for cell in self.cells) + self.gap * max(0, len(self.cells) - 1)

    @lazy
    def above(self) -> float:
        return max((cell.above for cell in self.cells), default=2.0)

    @lazy
    def below(self) -> float:
        return max((cell.below for cell in self.cells), default=2.0)

    def place(self, diagram: Diagram, x: float, y: float, open_edges: OpenEdges) -> OpenEdges:
        for cell in self.cells:
            open_edges = cell.place(diagram, x, y, open_edges)
            x += cell.width + self.gap
        return open_edges
