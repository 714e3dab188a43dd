"""The heading of a diagram, and its legend."""

from __future__ import annotations

from collections.abc import Iterator

from opsin.viz import captions
from opsin.viz.diagram import STACK, STYLES, Diagram, DiagramText, LegendKey
from opsin.viz.text_metrics import text_width

KEY_WIDTH, ENTRY_GAP, LINE_HEIGHT = 30.0, 22.0, 26.0
"""Width of a sample, space between entries, and height of a line of the legend."""

KIND_ORDER = (
    captions.INPUT_KIND, captions.CONV, captions.DEPTHWISE, captions.LINEAR, captions.MAX_POOL, captions.AVERAGE_POOL,
    captions.RESAMPLE, captions.FUNCTION, captions.REARRANGE, captions.CONCAT, captions.ADD, captions.MULTIPLY,
)  # fmt: skip

SCALE = (
    "Height and depth of a box: √ of rows and columns; thickness: √ of channels. /2: stride. Grey numbers: parameters."
)


def add_heading(diagram: Diagram, title: str, subtitle: str) -> None:
    """Write title and subtitle above the diagram."""
    diagram.texts.append(DiagramText(0, -32, title, "heading", "start"))
    diagram.texts.append(DiagramText(0, -12, subtitle, "plain", "start"))
    diagram.width = max(diagram.width, text_width(title, *STYLES["heading"]), text_width(subtitle, *STYLES["plain"]))


def add_legend(diagram: Diagram) -> None:
    """Draw the legend below the diagram, in lines as wide as it is."""
    diagram.width = max(diagram.width, text_width(SCALE, *STYLES["faint"]))
    x, y = 0.0, diagram.height + LINE_HEIGHT + 6
    for sample, text in _entries(diagram):
        width = KEY_WIDTH + text_width(text, *STYLES["plain"])
        if x and x + width > diagram.width:
            x, y = 0.0, y + LINE_HEIGHT
        diagram.legend_keys.append(LegendKey(x, y, sample))
        diagram.texts.append(DiagramText(x + KEY_WIDTH, y + 4, text, "plain", "start"))
        x += width + ENTRY_GAP
    diagram.texts.append(DiagramText(0, y + LINE_HEIGHT, SCALE, "faint", "start"))
    diagram.height = y + LINE_HEIGHT + 4


def _entries(diagram: Diagram) -> Iterator[tuple[str, str]]:
    """Yield the samples of what occurs in the diagram, and their meanings."""
    units = [unit for box in diagram.boxes for unit in box.units]
    kinds = {unit.kind for unit in units}
    yield from ((kind, kind) for kind in KIND_ORDER if kind in kinds)
    names = [name for unit in units for text in (unit.before, unit.after) for name in text.split(", ") if name]
    for stripe in (captions.NORM, captions.ACTIVATION):
        striped = dict.fromkeys(name for name in names if captions.stripes(name) == [stripe])
        if striped:
            yield stripe, " or ".join(striped)
    if any(frame.copies > 1 for frame in diagram.frames):
        yield STACK, "×n: repeated n times"
