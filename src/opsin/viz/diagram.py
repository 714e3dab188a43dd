"""What an image of a network is made of, as data: boxes, edges, frames and words at their places.

Lengths are pixels; y grows downwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from opsin.viz.units import Unit

Point: TypeAlias = "tuple[float, float]"
Rectangle: TypeAlias = "tuple[float, float, float, float]"
"""Left, top, right, bottom."""

RADIUS = 8.0
"""Of the circle in which branches are added or multiplied."""


@dataclass(frozen=True)
class Form:
    """The size of a box: of a cuboid that shows a tensor, or of a circle where nothing of that is set.

    Its front is `thickness` × `height` and its depth runs `across` to the right and `rise` upwards.
    """

    thickness: float
    height: float
    across: float = 0.0
    rise: float = 0.0
    round: bool = False

    @property
    def width(self) -> float:
        return self.thickness + self.across

    @property
    def reach(self) -> float:
        """How far the box goes above and below its middle."""
        return (self.height + self.rise) / 2


CIRCLE = Form(2 * RADIUS, 2 * RADIUS, round=True)


@dataclass(frozen=True, eq=False)
class Box:
    """A unit (and its equals in other copies of a block), drawn with its left end at `x` and its middle at `y`."""

    units: tuple[Unit, ...]
    form: Form
    x: float
    y: float

    @property
    def left(self) -> Point:
        return self.x, self.y

    @property
    def right(self) -> Point:
        """The middle of the right face."""
        return self.x + self.form.thickness + self.form.across / 2, self.y

    @property
    def top(self) -> Point:
        """The middle of the upper face."""
        return self.x + self.form.width / 2, self.y - self.form.reach + self.form.rise / 2

    @property
    def bounds(self) -> Rectangle:
        return self.x, self.y - self.form.reach, self.x + self.form.width, self.y + self.form.reach


@dataclass(frozen=True)
class Edge:
    """What `source` makes goes to `target`, along `points` from one to the other."""

    source: Box
    target: Box
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Frame:
    """Around a block that stands for `copies` of it."""

    bounds: Rectangle
    copies: int
    path: str


@dataclass(frozen=True)
class Section:
    """A line over units of one layer, with its name."""

    begin: float
    end: float
    y: float


@dataclass(frozen=True)
class DiagramText:
    """Text from, around or up to a point, by `anchor`: start, middle or end. `style` is one of `STYLES`."""

    x: float
    y: float
    text: str
    style: str
    anchor: str = "middle"


STYLES = {
    "heading": (18.0, True), "name": (11.0, True), "plain": (11.0, False), "faint": (11.0, False),
    "title": (11.0, True), "badge": (13.0, True),
}  # fmt: skip
"""Size, and whether it is bold."""


PILED = "pile"


@dataclass(frozen=True)
class Key:
    """A sample of how something is drawn: of a kind of unit, of a stripe, or of a pile of frames (`PILED`)."""

    x: float
    y: float
    what: str


@dataclass
class Diagram:
    """A network, drawn."""

    width: float = 0.0
    height: float = 0.0
    boxes: list[Box] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    words: list[DiagramText] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
