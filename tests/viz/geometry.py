"""Checks of diagrams; each function returns what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

from opsin.viz.diagram import STYLES, Diagram, DiagramText, Rectangle
from opsin.viz.text_metrics import text_width


def text_bounds(texts: DiagramText) -> Rectangle:
    size, bold = STYLES[texts.style]
    width = text_width(texts.text, size, bold)
    left = texts.x - {"start": 0.0, "middle": width / 2, "end": width}[texts.anchor]
    return left, texts.y - 0.72 * size, left + width, texts.y + 0.2 * size


def overlap(a: Rectangle, b: Rectangle, minimum: float = 0.2) -> bool:
    return min(a[2], b[2]) - max(a[0], b[0]) > minimum and min(a[3], b[3]) - max(a[1], b[1]) > minimum


def rectangles(diagram: Diagram) -> list[tuple[str, Rectangle]]:
    """Return boxes and texts, which must not overlap."""
    boxes = [(box.units[0].path or box.units[0].caption, box.bounds) for box in diagram.boxes]
    return boxes + [(texts.text, text_bounds(texts)) for texts in diagram.texts]


def overlaps(diagram: Diagram) -> list[str]:
    return [f"{a} on {b}" for (a, one), (b, other) in combinations(rectangles(diagram), 2) if overlap(one, other)]


def outside(diagram: Diagram) -> list[str]:
    """Return what is drawn outside the diagram; the heading is above it."""
    return [
        name
        for name, (left, top, right, bottom) in rectangles(diagram)
        if left < -1 or right > diagram.width + 1 or top < -50 or bottom > diagram.height + 3
    ]


def crossings(diagram: Diagram) -> Iterator[str]:
    """Yield edges that are slanted, or that pass over text or other boxes."""
    texts = [(texts.text, text_bounds(texts)) for texts in diagram.texts]
    for edge in diagram.edges:
        name = f"{edge.source.units[0].path} → {edge.target.units[0].path}"
        for (x0, y0), (x1, y1) in pairwise(edge.points):
            if abs(x0 - x1) > 0.01 and abs(y0 - y1) > 0.01:
                yield f"{name} is slanted"
            segment = (min(x0, x1) - 0.3, min(y0, y1) - 0.3, max(x0, x1) + 0.3, max(y0, y1) + 0.3)
            others = [box for box in diagram.boxes if box not in (edge.source, edge.target)]
            yield from (f"{name} crosses {b.units[0].path}" for b in others if overlap(segment, b.bounds))
            yield from (f"{name} crosses '{text}'" for text, bounds in texts if overlap(segment, bounds))
