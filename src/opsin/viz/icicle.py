"""A tree of times as an image: each box as wide as its time, those that make it up below it.

Icicle plots are Kruskal & Landwehr's ("Icicle plots: better displays for hierarchical clustering", 1983); upside down
they are known as flame graphs (Gregg 2011).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from opsin.viz.text_metrics import text_width

WIDTH, BORDER, HEAD = 1200.0, 16.0, 64.0
ROW, LETTERS = 22.0, 11.0
LEAST = 0.15
"""Pixels below which a box is left out: its parent still shows that something is there."""
COLOURS = {
    "forward": "#7fb2e5", "recomputed": "#c9a0dc", "input gradient": "#f2b766", "weight gradient": "#e58a7a",
    "update": "#8fcf9f", "waiting": "#c4c9ce",
}  # fmt: skip
STYLE = """
text { font-family: Helvetica, Arial, 'Liberation Sans', sans-serif; font-size: 11px; fill: #18222c }
.heading { font-size: 16px; font-weight: bold } .page { fill: #ffffff } .whole { fill: #e4e9ee }
rect.box { stroke: #ffffff; stroke-width: 0.7 } .box:hover { stroke: #18222c; stroke-width: 1.4 }
@media screen and (prefers-color-scheme: dark) {
.page { fill: #12181e } .outside { fill: #e8edf2 } rect.box { stroke: #12181e } .whole { fill: #aeb8c2 }
.box:hover { stroke: #ffffff }
}
"""


@dataclass
class IcicleBar:
    """A box: its words, what its tooltip adds, its own seconds, and what it consists of, in order."""

    name: str
    kind: str = ""
    seconds: float = 0.0
    note: str = ""
    parts: dict[str, IcicleBar] = field(default_factory=dict)

    @property
    def total(self) -> float:
        return self.seconds + sum(part.total for part in self.parts.values())

    @property
    def depth(self) -> int:
        return 1 + max((part.depth for part in self.parts.values()), default=0)

    def inner(self, name: str, kind: str) -> IcicleBar:
        """The part called `name`, made where there is none yet."""
        return self.parts.setdefault(name, IcicleBar(name, kind))


def icicle(root: IcicleBar, heading: str, under: str) -> str:
    """The image of `root` as SVG, with `heading` and a line `under` it."""
    height = HEAD + ROW * root.depth + 34 + BORDER
    full = root.total
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH:g}" height="{height:g}" '
        f'viewBox="0 0 {WIDTH:g} {height:g}" role="img">',
        f"<title>{escape(heading)}</title>",
        f"<style>{STYLE}{''.join(_colours())}</style>",
        '<rect class="page" width="100%" height="100%"/>',
        f'<text class="heading outside" x="{BORDER:g}" y="28">{escape(heading)}</text>',
        f'<text class="outside" x="{BORDER:g}" y="48">{escape(under)}</text>',
        *_boxes(root, BORDER, 0, (WIDTH - 2 * BORDER) / full if full else 0.0, full, ""),
        *_legend(_kinds(root), HEAD + ROW * root.depth + 24),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _boxes(part: IcicleBar, x: float, level: int, scale: float, full: float, path: str) -> Iterator[str]:
    width = part.total * scale
    if width < LEAST:
        return
    y = HEAD + ROW * level
    where = f"{path} › {part.name}" if path else part.name
    words = [where, f"{1e3 * part.total:.3f} ms, {part.total / full:.1%}", *([part.note] if part.note else [])]
    yield (
        f'<g><title>{escape(chr(10).join(words))}</title><rect class="box {_class(part.kind)}" x="{x:.2f}" y="{y:g}" '
        f'width="{width:.2f}" height="{ROW - 1:g}" rx="1.5"/>{_label(part.name, x, y, width)}</g>'
    )
    for inner in part.parts.values():
        yield from _boxes(inner, x, level + 1, scale, full, where if level else "")
        x += inner.total * scale


def _label(name: str, x: float, y: float, width: float) -> str:
    """The name, as much of it as fits; nothing where that would be less than two letters."""
    room, shown = width - 8, name
    while len(shown) > 2 and text_width(shown, LETTERS) > room:
        shown = shown.rstrip("…")[:-1] + "…"
    if text_width(shown, LETTERS) > room:
        return ""
    return f'<text x="{x + 4:.2f}" y="{y + 14.5:g}">{escape(shown)}</text>'


def _kinds(part: IcicleBar) -> dict[str, None]:
    """Every kind below `part`, in order."""
    found = dict.fromkeys([part.kind] if part.kind else [])
    for inner in part.parts.values():
        found |= _kinds(inner)
    return found


def _legend(kinds: Iterable[str], y: float) -> Iterator[str]:
    x = BORDER
    for kind in kinds:
        yield f'<rect class="{_class(kind)}" x="{x:g}" y="{y - 10:g}" width="12" height="12" rx="1.5"/>'
        yield f'<text class="outside" x="{x + 17:g}" y="{y:g}">{escape(kind)}</text>'
        x += 17 + text_width(kind, LETTERS) + 22


def _colours() -> Iterator[str]:
    for kind, colour in COLOURS.items():
        yield f".{_class(kind)} {{ fill: {colour} }}\n"


def _class(kind: str) -> str:
    return kind.replace(" ", "-") or "whole"
