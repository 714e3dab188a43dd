"""Icicle plots: a tree of times. The width of each bar is its time, and its children are below it.

After Kruskal & Landwehr, "Icicle plots: better displays for hierarchical clustering", 1983. Upside down they are known
as flame graphs (Gregg 2011).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from opsin.viz import svg
from opsin.viz.text_metrics import text_width

WIDTH, BORDER, HEADING_HEIGHT = 1200.0, 16.0, 64.0
ROW_HEIGHT, FONT_SIZE = 22.0, 11.0
MIN_WIDTH = 0.15
"""Narrower bars (in pixels) are left out; their parents still show their time."""
COLOURS = {
    "forward": "#7fb2e5", "recomputed": "#c9a0dc", "input gradient": "#f2b766", "weight gradient": "#e58a7a",
    "update": "#8fcf9f", "waiting": "#c4c9ce",
}  # fmt: skip
RULES = f"""
.heading {{ font-size: 16px; font-weight: bold }} .whole {{ fill: #e4e9ee }} .inside {{ fill: {svg.INK} }}
rect.box {{ stroke: {svg.PAPER}; stroke-width: 0.7 }} .box:hover {{ stroke: {svg.INK}; stroke-width: 1.4 }}
{"".join(f".{svg.class_name(kind)} {{ fill: {colour} }} " for kind, colour in COLOURS.items())}
"""
DARK_RULES = """
rect.box { stroke: #12181e } .whole { fill: #aeb8c2 } .box:hover { stroke: #ffffff }
"""


@dataclass
class IcicleBar:
    """A bar: its label, a note for its tooltip, its own time in seconds, and its children in order."""

    name: str
    kind: str = ""
    seconds: float = 0.0
    note: str = ""
    children: dict[str, IcicleBar] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """Seconds of the bar and of everything below it."""
        return self.seconds + sum(child.total for child in self.children.values())

    @property
    def depth(self) -> int:
        return 1 + max((child.depth for child in self.children.values()), default=0)

    def child(self, name: str, kind: str) -> IcicleBar:
        """Return the child called `name`, and create it if there is none."""
        return self.children.setdefault(name, IcicleBar(name, kind))


def icicle(root: IcicleBar, heading: str, subtitle: str) -> str:
    """Draw `root` as an SVG file."""
    total = root.total
    scale = (WIDTH - 2 * BORDER) / total if total else 0.0
    bottom = HEADING_HEIGHT + ROW_HEIGHT * root.depth
    content = [
        svg.label(BORDER, 28, heading, "heading"),
        svg.label(BORDER, 48, subtitle, ""),
        *_bars(root, BORDER, 0, scale, total, ""),
        *_legend(_kinds(root), bottom + 24),
    ]
    return svg.document(WIDTH, bottom + 34 + BORDER, heading, svg.style_sheet(RULES, DARK_RULES), content)


def _bars(bar: IcicleBar, x: float, level: int, scale: float, total: float, parent: str) -> Iterator[str]:
    """Yield the bar and everything below it; `scale` is pixels a second, `parent` the path of the parent."""
    width = bar.total * scale
    if width < MIN_WIDTH:
        return
    y = HEADING_HEIGHT + ROW_HEIGHT * level
    path = f"{parent} › {bar.name}" if parent else bar.name
    tooltip = [path, f"{1e3 * bar.total:.3f} ms, {bar.total / total:.1%}", *([bar.note] if bar.note else [])]
    box = svg.element(
        "rect",
        class_=f"box {_class(bar.kind)}",
        x=f"{x:.2f}",
        y=y,
        width=f"{width:.2f}",
        height=ROW_HEIGHT - 1,
        rx="1.5",
    )
    yield svg.element("g", svg.title("\n".join(tooltip)) + box + _label(bar.name, x, y, width))
    for child in bar.children.values():
        yield from _bars(child, x, level + 1, scale, total, path if level else "")
        x += child.total * scale


def _label(name: str, x: float, y: float, width: float) -> str:
    """Return as much of the name as fits; nothing if that is less than two letters."""
    available, text = width - 8, name
    while len(text) > 2 and text_width(text, FONT_SIZE) > available:
        text = text.rstrip("…")[:-1] + "…"
    return svg.label(x + 4, y + 14.5, text, "inside") if text_width(text, FONT_SIZE) <= available else ""


def _kinds(bar: IcicleBar) -> dict[str, None]:
    """Return all kinds in a tree, in order."""
    kinds = dict.fromkeys([bar.kind] if bar.kind else [])
    for child in bar.children.values():
        kinds |= _kinds(child)
    return kinds


def _legend(kinds: Iterable[str], y: float) -> Iterator[str]:
    x = BORDER
    for kind in kinds:
        yield svg.element("rect", class_=_class(kind), x=x, y=y - 10, width=12, height=12, rx="1.5")
        yield svg.label(x + 17, y, kind, "")
        x += 17 + text_width(kind, FONT_SIZE) + 22


def _class(kind: str) -> str:
    return svg.class_name(kind) or "whole"
