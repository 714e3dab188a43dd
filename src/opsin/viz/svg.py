"""The image as SVG: words stay text, and every box tells in a tooltip what it stands for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import hypot
from xml.sax.saxutils import escape

from opsin.nn.paths import span
from opsin.viz import labels
from opsin.viz.cells import BAND
from opsin.viz.diagram import CIRCLE, PILED, Box, Diagram, DiagramText, Edge, Form, Frame, Key, Point, Section
from opsin.viz.layout import BORDER
from opsin.viz.text_metrics import between

COLOURS = {
    labels.INPUT_KIND: "#f2ecdc", labels.CONV: "#5b9bd8", labels.DEPTHWISE: "#a9d8f2", labels.LINEAR: "#1d8f6e",
    labels.MAX_POOL: "#d9622b", labels.AVERAGE_POOL: "#f0b13c", labels.RESAMPLE: "#f3e37c", labels.FUNCTION: "#c878ad",
    labels.MOVE: "#c6c6c6", labels.CONCAT: "#585858",
}  # fmt: skip
"""Told apart by the colour-blind, too: after Okabe & Ito, "Color universal design", 2008, some lighter or darker."""
STRIPES = {labels.NORM: "#ffffff", labels.ACTIVATION: "#2b3a48"}
CORNER, PILE = 6.0, 3.0
HEAD = 56.0
"""Room for the heading."""

STYLE = """
text { font-family: Helvetica, Arial, 'Liberation Sans', 'Nimbus Sans', sans-serif; font-size: 11px; fill: #18222c }
.heading { font-size: 18px; font-weight: bold } .badge { font-size: 13px; font-weight: bold }
.name, .title { font-weight: bold } .faint { fill: #5a6672 }
.page { fill: #ffffff } .frame { fill: #f5f7f9; stroke: #a3aeb9; stroke-width: 0.9 }
.edge { fill: none; stroke: #44515e; stroke-width: 1.1 } .head { fill: #44515e }
.section { stroke: #7d8995; stroke-width: 0.9 } .box { stroke: #2b3a48; stroke-width: 0.6; stroke-linejoin: round }
.circle { fill: #ffffff; stroke: #44515e; stroke-width: 1.1 } .sign { fill: none; stroke: #44515e; stroke-width: 1.3 }
@media screen and (prefers-color-scheme: dark) {
text { fill: #e8edf2 } .faint { fill: #a5b0bb } .page { fill: #12181e } .frame { fill: #1a222a; stroke: #55616d }
.edge, .sign { stroke: #b3bec9 } .head { fill: #b3bec9 } .circle { fill: #12181e; stroke: #b3bec9 }
}
"""


def write(image: Diagram, title: str, description: str) -> str:
    """The whole file."""
    width, height = image.width + 2 * BORDER, image.height + HEAD + BORDER
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{px(width)}" height="{px(height)}" '
        f'viewBox="0 0 {px(width)} {px(height)}" role="img">',
        f"<title>{_text(title)}</title>",
        f"<desc>{_text(description)}</desc>",
        f"<style>{STYLE}{''.join(_colours())}</style>",
        '<defs><marker id="head" viewBox="0 0 6 6" refX="5.4" refY="3" markerWidth="6" markerHeight="6" orient="auto">'
        '<path class="head" d="M0 0.4L6 3L0 5.6z"/></marker></defs>',
        '<rect class="page" width="100%" height="100%"/>',
        f'<g transform="translate({px(BORDER)} {px(HEAD)})">',
        *(line for frame in image.frames for line in _frame(frame)),
        *(_section(section) for section in image.sections),
        *(line for box in image.boxes for line in _box(box)),
        *_edges(image.edges),
        *(line for key in image.keys for line in _key(key)),
        *(_words(label) for label in image.words),
        "</g>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _colours() -> Iterator[str]:
    """For each kind the colours of a box's front, top and side; and those of the stripes."""
    for kind, colour in COLOURS.items():
        name = _class(kind)
        top, side = _mixed(colour, "#ffffff", 0.35), _mixed(colour, "#000000", 0.2)
        yield f".{name} .f {{ fill: {colour} }} .{name} .t {{ fill: {top} }} .{name} .s {{ fill: {side} }}\n"
    for name, colour in STRIPES.items():
        yield f".{name} {{ fill: {colour}; fill-opacity: 0.85 }}\n"


def _mixed(colour: str, other: str, share: float) -> str:
    """`colour` with a `share` of `other` in it."""
    pairs = zip(bytes.fromhex(colour[1:]), bytes.fromhex(other[1:]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _class(kind: str) -> str:
    return kind.replace(" ", "-")


def _frame(frame: Frame) -> Iterator[str]:
    """A rounded rectangle, and behind it those of the other copies."""
    left, top, right, bottom = frame.bounds
    for shift in (2 * PILE, PILE, 0.0) if frame.copies > 1 else (0.0,):
        yield (
            f'<rect class="frame" x="{px(left + shift)}" y="{px(top - shift)}" width="{px(right - left)}" '
            f'height="{px(bottom - top)}" rx="5"/>'
        )


def _section(section: Section) -> str:
    return f'<path class="section" d="M{px(section.begin)} {px(section.y)}H{px(section.end)}"/>'


def _edges(edges: Iterable[Edge]) -> Iterator[str]:
    """Lines with arrow heads; what several share is drawn once."""
    drawn: dict[Box, list[Sequence[Point]]] = {}
    for edge in edges:
        before = drawn.setdefault(edge.source, [])
        points = min((_after_parting(edge.points, other) for other in before), key=_total, default=edge.points)
        before.append(edge.points)
        yield f'<path class="edge" marker-end="url(#head)" d="{_rounded(points)}"/>'


def _after_parting(points: Sequence[Point], other: Sequence[Point]) -> Sequence[Point]:
    """What is left of a line that begins like another, from a little before the corner at which they part."""
    same = next((n for n, (a, b) in enumerate(zip(points, other, strict=False)) if a != b), 0)
    if same and _on(other[same], points[same - 1], points[same]):
        return (_towards(other[same], points[same - 1], CORNER), *points[same:])
    if same and not _on(points[same], other[same - 1], other[same]):
        same -= 1
    return (_towards(points[same], points[same - 1], 2 * CORNER), *points[same:]) if same else points


def _on(point: Point, a: Point, b: Point) -> bool:
    """Whether a point lies between two others."""
    return _straight(a, point, b) and _length(a, point) <= _length(a, b) and _length(point, b) <= _length(a, b)


def _total(points: Sequence[Point]) -> float:
    return sum(_length(a, b) for a, b in pairwise(points))


def _rounded(points: Sequence[Point]) -> str:
    """A line with round corners."""
    turns = [b for a, b, c in zip(points, points[1:], points[2:], strict=False) if not _straight(a, b, c)]
    corners = [points[0], *turns, points[-1]]
    path = f"M{_point(corners[0])}"
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        radius = min(CORNER, _length(before, corner) / 2, _length(corner, after) / 2)
        path += (
            f"L{_point(_towards(corner, before, radius))}Q{_point(corner)} {_point(_towards(corner, after, radius))}"
        )
    return path + f"L{_point(corners[-1])}"


def _straight(a: Point, b: Point, c: Point) -> bool:
    return abs((b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0])) < 0.01


def _length(a: Point, b: Point) -> float:
    return hypot(b[0] - a[0], b[1] - a[1])


def _towards(a: Point, b: Point, distance: float) -> Point:
    share = distance / (_length(a, b) or 1)
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share


def _box(box: Box) -> Iterator[str]:
    unit = box.units[0]
    yield f'<g class="{_class(unit.kind)}"><title>{_text(tooltip(box))}</title>'
    if box.form.round:
        yield _circle(unit.kind, box.x + CIRCLE.width / 2, box.y)
    else:
        yield from _cuboid(box.form, box.x, box.y, labels.stripes(unit.before), labels.stripes(unit.after))
    yield "</g>"


def _circle(kind: str, x: float, y: float) -> str:
    """A circle with + or × in it."""
    if kind == labels.ADD:
        sign = f"M{px(x - 4.5)} {px(y)}h9M{px(x)} {px(y - 4.5)}v9"
    else:
        sign = f"M{px(x - 3.4)} {px(y - 3.4)}l6.8 6.8M{px(x - 3.4)} {px(y + 3.4)}l6.8 -6.8"
    return f'<circle class="circle" cx="{px(x)}" cy="{px(y)}" r="{px(CIRCLE.reach)}"/><path class="sign" d="{sign}"/>'


def _cuboid(form: Form, x: float, y: float, before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    """Front, top and right side, and stripes across front and top for the functions before and after the work."""
    low, high = y + form.reach, y + form.reach - form.height
    depth, back = f"{px(form.across)} {px(-form.rise)}", f"{px(-form.across)} {px(form.rise)}"

    def faces(begin: float, width: float) -> tuple[str, str]:
        front = f"M{px(begin)} {px(low)}V{px(high)}h{px(width)}V{px(low)}z"
        return front, f"M{px(begin)} {px(high)}l{depth}h{px(width)}l{back}z"

    front, top = faces(x, form.thickness)
    side = f"M{px(x + form.thickness)} {px(low)}V{px(high)}l{depth}V{px(low - form.rise)}z"
    yield f'<path class="box f" d="{front}"/><path class="box t" d="{top}"/><path class="box s" d="{side}"/>'
    stripes = [(x + BAND * (0.5 + number), name) for number, name in enumerate(before)]
    stripes += [(x + form.thickness - BAND * (len(after) - number), name) for number, name in enumerate(after)]
    for begin, name in stripes:
        yield f'<path class="{name}" d="{"".join(faces(begin, BAND * 0.7))}"/>'


def _key(key: Key) -> Iterator[str]:
    """A sample in the legend."""
    if key.what in (labels.ADD, labels.GATE):
        yield _circle(key.what, key.x + 14, key.y)
    elif key.what == PILED:
        yield from _frame(Frame((key.x + 2, key.y - 6, key.x + 20, key.y + 10), 2, ""))
    else:
        stripes = [key.what] if key.what in STRIPES else []
        yield f'<g class="{_class(labels.CONV if stripes else key.what)}">'
        yield from _cuboid(Form(14, 12, 6, 4), key.x + 4, key.y, [], stripes)
        yield "</g>"


def tooltip(box: Box) -> str:
    """What a box stands for, in full."""
    unit, last = box.units[0], box.units[-1]
    work = [unit.before, unit.caption, unit.after]
    lines = [span([unit.path, last.path]), ", then ".join(part for part in work if part)]
    lines.append(f"makes {'×'.join((between([str(unit.shape[0]), str(last.shape[0])]), *map(str, unit.shape[1:])))}")
    if unit.parameters:
        lines.append(f"{between([f'{unit.parameters:,}', f'{last.parameters:,}'])} parameters")
    if unit.macs:
        lines.append(f"{between([f'{unit.macs:,}', f'{last.macs:,}'])} multiply-adds")
    return "\n".join(line for line in lines if line)


def _words(label: DiagramText) -> str:
    anchor = "" if label.anchor == "start" else f' text-anchor="{label.anchor}"'
    return f'<text class="{label.style}"{anchor} x="{px(label.x)}" y="{px(label.y)}">{_text(label.text)}</text>'


def _text(text: str) -> str:
    """Text between tags. Characters that XML does not know, which a layer's name may have, become question marks."""
    return escape("".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text))


def _point(point: Point) -> str:
    return f"{px(point[0])} {px(point[1])}"


def px(number: float) -> str:
    """With one digit behind the point, where it is not 0."""
    return f"{round(number, 1) + 0.0:.1f}".removesuffix(".0")
