"""Network diagrams as SVG: text stays text, and every box has a tooltip that describes it in full."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from math import hypot
from typing import TypeAlias
from xml.sax.saxutils import quoteattr

from opsin.nn.paths import span
from opsin.viz import captions, svg
from opsin.viz.cells import STRIPE_WIDTH
from opsin.viz.diagram import (
    CIRCLE,
    STACK,
    STYLES,
    Box,
    BoxSize,
    Diagram,
    DiagramText,
    Edge,
    Frame,
    LegendKey,
    Section,
)
from opsin.viz.layout import BORDER
from opsin.viz.svg import Point, point, px
from opsin.viz.text_metrics import text_width, value_range

Link: TypeAlias = "Callable[[Box], str]"
"""The address that a box links to."""

COLOURS = {
    captions.INPUT_KIND: "#f2ecdc", captions.CONV: "#5b9bd8", captions.DEPTHWISE: "#a9d8f2", captions.LINEAR: "#1d8f6e",
    captions.MAX_POOL: "#d9622b", captions.AVERAGE_POOL: "#f0b13c", captions.RESAMPLE: "#f3e37c",
    captions.FUNCTION: "#c878ad", captions.REARRANGE: "#c6c6c6", captions.CONCAT: "#585858",
}  # fmt: skip
"""Distinguishable by the colour-blind: after Okabe & Ito, "Color universal design", 2008, some lighter or darker."""
STRIPES = {captions.NORM: "#ffffff", captions.ACTIVATION: "#2b3a48"}
CORNER_RADIUS, STACK_OFFSET, HEADING_HEIGHT = 6.0, 3.0, 56.0

RULES = """
.heading { font-size: 18px; font-weight: bold } .badge { font-size: 13px; font-weight: bold }
.name, .title { font-weight: bold } .frame { fill: #f5f7f9; stroke: #a3aeb9; stroke-width: 0.9 }
.edge { fill: none; stroke: #44515e; stroke-width: 1.1 } .head { fill: #44515e }
.section { stroke: #7d8995; stroke-width: 0.9 } .box { stroke: #2b3a48; stroke-width: 0.6; stroke-linejoin: round }
.circle { fill: #ffffff; stroke: #44515e; stroke-width: 1.1 } .sign { fill: none; stroke: #44515e; stroke-width: 1.3 }
"""
DARK_RULES = """
.frame { fill: #1a222a; stroke: #55616d }
.edge, .sign { stroke: #b3bec9 } .head { fill: #b3bec9 } .circle { fill: #12181e; stroke: #b3bec9 }
"""
ARROW = (
    '<defs><marker id="head" viewBox="0 0 6 6" refX="5.4" refY="3" markerWidth="6" markerHeight="6" orient="auto">'
    '<path class="head" d="M0 0.4L6 3L0 5.6z"/></marker></defs>'
)


def write(diagram: Diagram, title: str, description: str, link: Link | None = None) -> str:
    """Return the SVG file; with `link`, every box is a link."""
    content = [
        *(line for frame in diagram.frames for line in _frame(frame)),
        *(_section(section) for section in diagram.sections),
        *(line for box in diagram.boxes for line in _box(box, link)),
        *_edges(diagram.edges),
        *(line for key in diagram.legend_keys for line in _legend_key(key)),
        *map(_text, diagram.texts),
    ]
    moved = [ARROW, f'<g transform="translate({px(BORDER)} {px(HEADING_HEIGHT)})">', *content, "</g>"]
    width, height = diagram.width + 2 * BORDER, diagram.height + HEADING_HEIGHT + BORDER
    role = "img" if link is None else "group"
    return svg.document(width, height, title, style(), moved, description, role=role)


def style() -> str:
    """Return the style sheet of every diagram."""
    return svg.style_sheet(RULES + "".join(_colour_rules()), DARK_RULES)


def _text(text: DiagramText) -> str:
    """Return a text of the width that the layout assumes: without Helvetica, other fonts are wider."""
    width = text_width(text.text, *STYLES[text.style])
    return svg.label(text.x, text.y, text.text, text.style, text.anchor, width)


def _colour_rules() -> Iterator[str]:
    """Yield, for each kind, the colours of a box's front, top and side; and the colours of the stripes."""
    for kind, colour in COLOURS.items():
        name, top, side = svg.class_name(kind), svg.mix(colour, "#ffffff", 0.35), svg.mix(colour, "#000000", 0.2)
        yield f".{name} .f {{ fill: {colour} }} .{name} .t {{ fill: {top} }} .{name} .s {{ fill: {side} }}\n"
    for name, colour in STRIPES.items():
        yield f".{name} {{ fill: {colour}; fill-opacity: 0.85 }}\n"


def _frame(frame: Frame) -> Iterator[str]:
    """Yield a rounded rectangle, and those of the other copies behind it."""
    left, top, right, bottom = frame.bounds
    for shift in (2 * STACK_OFFSET, STACK_OFFSET, 0.0) if frame.copies > 1 else (0.0,):
        yield svg.element(
            "rect", class_="frame", x=left + shift, y=top - shift, width=right - left, height=bottom - top, rx="5"
        )


def _section(section: Section) -> str:
    return svg.path(f"M{px(section.begin)} {px(section.y)}H{px(section.end)}", "section")


def _edges(edges: Iterable[Edge]) -> Iterator[str]:
    """Yield lines with arrow heads; a part that several lines share is drawn once."""
    lines_by_source: dict[Box, list[Sequence[Point]]] = {}
    for edge in edges:
        lines = lines_by_source.setdefault(edge.source, [])
        points = min((_after_fork(edge.points, other) for other in lines), key=_total_length, default=edge.points)
        lines.append(edge.points)
        yield svg.element("path", class_="edge", marker_end="url(#head)", d=_rounded_path(points))


def _after_fork(points: Sequence[Point], other: Sequence[Point]) -> Sequence[Point]:
    """Return what remains of a line that begins like `other`, from shortly before the corner where they fork."""
    split = next((n for n, (a, b) in enumerate(zip(points, other, strict=False)) if a != b), 0)
    if split and _lies_between(other[split], points[split - 1], points[split]):
        return (_towards(other[split], points[split - 1], CORNER_RADIUS), *points[split:])
    if split and not _lies_between(points[split], other[split - 1], other[split]):
        split -= 1
    return (_towards(points[split], points[split - 1], 2 * CORNER_RADIUS), *points[split:]) if split else points


def _lies_between(place: Point, a: Point, b: Point) -> bool:
    return _is_straight(a, place, b) and _length(a, place) <= _length(a, b) and _length(place, b) <= _length(a, b)


def _total_length(points: Sequence[Point]) -> float:
    return sum(_length(a, b) for a, b in pairwise(points))


def _rounded_path(points: Sequence[Point]) -> str:
    """Return path data of a line with rounded corners."""
    turns = [b for a, b, c in zip(points, points[1:], points[2:], strict=False) if not _is_straight(a, b, c)]
    corners = [points[0], *turns, points[-1]]
    data = f"M{point(corners[0])}"
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        radius = min(CORNER_RADIUS, _length(before, corner) / 2, _length(corner, after) / 2)
        data += f"L{point(_towards(corner, before, radius))}Q{point(corner)} {point(_towards(corner, after, radius))}"
    return data + f"L{point(corners[-1])}"


def _is_straight(a: Point, b: Point, c: Point) -> bool:
    return abs((b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0])) < 0.01


def _length(a: Point, b: Point) -> float:
    return hypot(b[0] - a[0], b[1] - a[1])


def _towards(a: Point, b: Point, distance: float) -> Point:
    """Return the point at `distance` from `a` on the line to `b`."""
    share = distance / (_length(a, b) or 1)
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share


def _box(box: Box, link: Link | None) -> Iterator[str]:
    unit = box.units[0]
    if link is not None:
        yield f"<a href={quoteattr(link(box))} aria-label={quoteattr(svg.printable(tooltip(box)))}>"
    yield f'<g class="{svg.class_name(unit.kind)}">{svg.title(tooltip(box))}'
    if box.size.is_circle:
        yield _circle(unit.kind, box.x + CIRCLE.width / 2, box.y)
    else:
        yield from _cuboid(box.size, box.x, box.y, captions.stripes(unit.before), captions.stripes(unit.after))
    yield "</g>" if link is None else "</g></a>"


def _circle(kind: str, x: float, y: float) -> str:
    """Return a circle with + or × in it."""
    if kind == captions.ADD:
        sign = f"M{px(x - 4.5)} {px(y)}h9M{px(x)} {px(y - 4.5)}v9"
    else:
        sign = f"M{px(x - 3.4)} {px(y - 3.4)}l6.8 6.8M{px(x - 3.4)} {px(y + 3.4)}l6.8 -6.8"
    return svg.element("circle", class_="circle", cx=x, cy=y, r=CIRCLE.half_height) + svg.path(sign, "sign")


def _cuboid(size: BoxSize, x: float, y: float, before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    """Yield front, top and right side, and stripes across front and top for the functions before and after."""
    low, high = y + size.half_height, y + size.half_height - size.height
    depth, back = point((size.depth_x, -size.depth_y)), point((-size.depth_x, size.depth_y))

    def faces(begin: float, width: float) -> tuple[str, str]:
        front = f"M{px(begin)} {px(low)}V{px(high)}h{px(width)}V{px(low)}z"
        return front, f"M{px(begin)} {px(high)}l{depth}h{px(width)}l{back}z"

    front, top = faces(x, size.thickness)
    side = f"M{px(x + size.thickness)} {px(low)}V{px(high)}l{depth}V{px(low - size.depth_y)}z"
    yield svg.path(front, "box f") + svg.path(top, "box t") + svg.path(side, "box s")
    stripes = [(x + STRIPE_WIDTH * (0.5 + number), name) for number, name in enumerate(before)]
    stripes += [(x + size.thickness - STRIPE_WIDTH * (len(after) - number), name) for number, name in enumerate(after)]
    for begin, name in stripes:
        yield svg.path("".join(faces(begin, STRIPE_WIDTH * 0.7)), name)


def _legend_key(key: LegendKey) -> Iterator[str]:
    if key.sample in (captions.ADD, captions.MULTIPLY):
        yield _circle(key.sample, key.x + 14, key.y)
    elif key.sample == STACK:
        yield from _frame(Frame((key.x + 2, key.y - 6, key.x + 20, key.y + 10), 2, ""))
    else:
        stripes = [key.sample] if key.sample in STRIPES else []
        yield f'<g class="{svg.class_name(captions.CONV if stripes else key.sample)}">'
        yield from _cuboid(BoxSize(14, 12, 6, 4), key.x + 4, key.y, [], stripes)
        yield "</g>"


def tooltip(box: Box) -> str:
    """Return the full description of a box: layers, operations, output, parameters and MACs."""
    unit, last = box.units[0], box.units[-1]
    operations = [unit.before, unit.caption, unit.after]
    channels = value_range([str(unit.shape[0]), str(last.shape[0])])
    lines = [span([unit.path, last.path]), ", then ".join(operation for operation in operations if operation)]
    lines.append(f"output {'×'.join((channels, *map(str, unit.shape[1:])))}")
    if unit.parameters:
        lines.append(f"{value_range([f'{unit.parameters:,}', f'{last.parameters:,}'])} parameters")
    if unit.macs:
        lines.append(f"{value_range([f'{unit.macs:,}', f'{last.macs:,}'])} MACs")
    return "\n".join(line for line in lines if line)
