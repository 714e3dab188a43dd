"""Diagrams of networks as data: boxes, edges, frames and text with their positions.

Lengths are pixels; y grows downwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from opsin.viz.svg import Point
from opsin.viz.units import Unit

Rectangle: TypeAlias = "tuple[float, float, float, float]"
"""Left, top, right, bottom."""

CIRCLE_RADIUS = 8.0
"""Radius of the circle in which branches are added or multiplied."""


@dataclass(frozen=True)
class BoxSize:
    """The size of a box: of a cuboid that stands for a tensor, or of a circle.

    The front is `thickness` × `height`; the depth extends by `depth_x` to the right and by `depth_y` upwards.
    """

    thickness: float
    height: float
    depth_x: float = 0.0
    depth_y: float = 0.0
    is_circle: bool = False

    @property
    def width(self) -> float:
        return self.thickness + self.depth_x

    @property
    def half_height(self) -> float:
        """How far the box extends above and below its centre."""
        return (self.height + self.depth_y) / 2


CIRCLE = BoxSize(2 * CIRCLE_RADIUS, 2 * CIRCLE_RADIUS, is_circle=True)


@dataclass(frozen=True, eq=False)
class Box:
    """A unit (and its counterparts in other copies of a block), with its left end at `x` and its centre at `y`."""

    units: tuple[Unit, ...]
    size: BoxSize
    x: float
    y: float

    @property
    def left(self) -> Point:
        return self.x, self.y

    @property
    def right(self) -> Point:
        """The centre of the right face."""
        return self.x + self.size.thickness + self.size.depth_x / 2, self.y

    @property
    def top(self) -> Point:
        """The centre of the upper face."""
        return self.x + self.size.width / 2, self.y - self.size.half_height + self.size.depth_y / 2

    @property
    def bounds(self) -> Rectangle:
        return self.x, self.y - self.size.half_height, self.x + self.size.width, self.y + self.size.half_height


@dataclass(frozen=True)
class Edge:
    """An edge from `source` to `target` along `points`."""

    source: Box
    target: Box
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Frame:
    """A frame around a block that stands for `copies` identical ones."""

    bounds: Rectangle
    copies: int
    path: str


@dataclass(frozen=True)
class Section:
    """A line above the units of one layer."""

    begin: float
    end: float
    y: float


@dataclass(frozen=True)
class DiagramText:
    """Text that starts at, is centred on, or ends at a point (`anchor`: start, middle, end), in one of `STYLES`."""

    x: float
    y: float
    text: str
    style: str
    anchor: str = "middle"


STYLES = {
    "heading": (18.0, True), "name": (11.0, True), "plain": (11.0, False), "faint": (11.0, False),
    "title": (11.0, True), "badge": (13.0, True),
}  # fmt: skip
"""Font size in pixels, and whether the text is bold."""


STACK = "stack"


@dataclass(frozen=True)
class LegendKey:
    """A sample in the legend: of a kind of unit, of a stripe, or of a stack of frames (`STACK`)."""

    x: float
    y: float
    sample: str


@dataclass
class Diagram:
    """A diagram of a network."""

    width: float = 0.0
    height: float = 0.0
    boxes: list[Box] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    texts: list[DiagramText] = field(default_factory=list)
    legend_keys: list[LegendKey] = field(default_factory=list)
