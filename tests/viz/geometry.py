"""What a good image is, in numbers: each function gives what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

from opsin.viz.diagram import STYLES, Diagram, DiagramText, Rectangle
from opsin.viz.text_metrics import text_width


def text_bounds(words: DiagramText) -> Rectangle:
    size, bold = STYLES[words.style]
    width = text_width(words.text, size, bold)
    left = words.x - {"start": 0.0, "middle": width / 2, "end": width}[words.anchor]
    return left, words.y - 0.72 * size, left + width, words.y + 0.2 * size


def overlap(a: Rectangle, b: Rectangle, least: float = 0.2) -> bool:
    return min(a[2], b[2]) - max(a[0], b[0]) > least and min(a[3], b[3]) - max(a[1], b[1]) > least


def things(image: Diagram) -> list[tuple[str, Rectangle]]:
    """Boxes and words, which must not lie on each other."""
    boxes = [(box.units[0].path or box.units[0].caption, box.bounds) for box in image.boxes]
    return boxes + [(words.text, text_bounds(words)) for words in image.words]


def overlaps(image: Diagram) -> list[str]:
    return [f"{a} on {b}" for (a, one), (b, other) in combinations(things(image), 2) if overlap(one, other)]


def strays(image: Diagram) -> list[str]:
    """What is drawn outside of the image; the heading stands above it."""
    return [
        name
        for name, (left, top, right, bottom) in things(image)
        if left < -1 or right > image.width + 1 or top < -50 or bottom > image.height + 3
    ]


def crossings(image: Diagram) -> Iterator[str]:
    """Edges that are slanted, or pass over words or over boxes other than their own."""
    texts = [(words.text, text_bounds(words)) for words in image.words]
    for edge in image.edges:
        name = f"{edge.source.units[0].path} → {edge.target.units[0].path}"
        for (x0, y0), (x1, y1) in pairwise(edge.points):
            if abs(x0 - x1) > 0.01 and abs(y0 - y1) > 0.01:
                yield f"{name} is slanted"
            along = (min(x0, x1) - 0.3, min(y0, y1) - 0.3, max(x0, x1) + 0.3, max(y0, y1) + 0.3)
            others = [box for box in image.boxes if box not in (edge.source, edge.target)]
            yield from (f"{name} crosses {b.units[0].path}" for b in others if overlap(along, b.bounds))
            yield from (f"{name} crosses '{text}'" for text, bounds in texts if overlap(along, bounds))
