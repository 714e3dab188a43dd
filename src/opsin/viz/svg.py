"""SVG as text: numbers, escaping, colours, elements, and whole files with a light and a dark style.

Coordinates are pixels; y grows downwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias
from xml.sax.saxutils import escape, quoteattr

Point: TypeAlias = "tuple[float, float]"

FONT = "font-family: Helvetica, Arial, 'Liberation Sans', 'Nimbus Sans', sans-serif; font-size: 11px"

INK, PAPER = "#18222c", "#ffffff"
DARK_INK, DARK_PAPER = "#e8edf2", "#12181e"
"""Colours of text and background, in the light and in the dark style."""

FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 forbids, even escaped."""


def px(value: float) -> str:
    """Return pixels with one decimal, which is left out if it is 0."""
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")


def text_of(text: str) -> str:
    """Escape text between tags; replace characters that XML forbids, which a layer's name may contain."""
    return escape(printable(text))


def printable(text: str) -> str:
    """Replace characters that XML forbids."""
    return FORBIDDEN.sub("\ufffd", text)


def mix(colour: str, other: str, share: float) -> str:
    """Return `colour` ("#rrggbb") with a `share` (0 to 1) of `other` in it."""
    pairs = zip(bytes.fromhex(colour[1:]), bytes.fromhex(other[1:]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def class_name(kind: str) -> str:
    """Return the CSS class of a kind: its name without spaces."""
    return kind.replace(" ", "-")


def element(tag: str, content: str | None = None, /, **attributes: str | float | None) -> str:
    """Return an element; `content` is markup, and None makes the element empty.

    Attributes keep their order. `_` in a name stands for `-`, and a trailing one is dropped (`class_`); numbers are
    written as pixels, and None leaves the attribute out.
    """
    words = [tag]
    for name, value in attributes.items():
        if value is not None:
            text = value if isinstance(value, str) else px(value)
            words.append(f"{name.removesuffix('_').replace('_', '-')}={quoteattr(text)}")
    opening = " ".join(words)
    return f"<{opening}/>" if content is None else f"<{opening}>{content}</{tag}>"


def title(text: str) -> str:
    """Return a title, which browsers show as a tooltip of the element around it."""
    return element("title", text_of(text))


def label(x: float, y: float, text: str, style: str, anchor: str = "start", width: float | None = None) -> str:
    """Return text that starts at, is centred on, or ends at (`anchor`: start, middle, end) a point of its baseline.

    With `width`, it is as wide as that in any font.
    """
    fitted = {} if width is None else {"textLength": px(width), "lengthAdjust": "spacingAndGlyphs"}
    anchor_name = None if anchor == "start" else anchor
    return element("text", text_of(text), class_=style or None, text_anchor=anchor_name, x=x, y=y, **fitted)


def point(place: Point) -> str:
    return f"{px(place[0])} {px(place[1])}"


def polyline(points: Sequence[Point]) -> str:
    """Return path data: straight lines through `points`."""
    return "M" + "L".join(map(point, points))


def path(data: str, style: str, content: str | None = None) -> str:
    """Return a path of CSS class `style`."""
    return element("path", content, class_=style, d=data)


def style_sheet(rules: str, dark_rules: str = "") -> str:
    """Return the style sheet of a file: font, text and background, then `rules`, and `dark_rules` on dark screens."""
    return (
        f"\ntext {{ {FONT}; fill: {INK} }} .page {{ fill: {PAPER} }} .faint {{ fill: #5a6672 }}\n{rules.strip()}\n"
        "@media screen and (prefers-color-scheme: dark) {\n"
        f"text {{ fill: {DARK_INK} }} .page {{ fill: {DARK_PAPER} }} .faint {{ fill: #a5b0bb }}\n"
        f"{dark_rules.strip()}\n}}\n"
    )


def document(
    width: float,
    height: float,
    heading: str,
    style: str,
    content: Iterable[str],
    description: str = "",
    zoom: float = 1.0,
    role: str = "img",
) -> str:
    """Return a whole file: `content` over a background of class "page", with `heading` as its title.

    `role` is that of accessibility: "img", or "group" if there are links inside.
    """
    size = f'width="{px(zoom * width)}" height="{px(zoom * height)}" viewBox="0 0 {px(width)} {px(height)}"'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="{role}">',
        title(heading),
        *([element("desc", text_of(description))] if description else []),
        element("style", style),
        '<rect class="page" width="100%" height="100%"/>',
        *content,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
