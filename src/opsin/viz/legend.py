"""Around an image: its heading above, and below what the drawing means."""

from __future__ import annotations

from collections.abc import Iterator

from opsin.viz import labels
from opsin.viz.diagram import PILED, STYLES, Diagram, DiagramText, Key
from opsin.viz.text_metrics import text_width

KEY, SPACE, LINE = 30.0, 22.0, 26.0
"""Width of a sample, room between entries, and from one line of the legend to the next."""

KINDS = (
    labels.INPUT_KIND, labels.CONV, labels.DEPTHWISE, labels.LINEAR, labels.MAX_POOL, labels.AVERAGE_POOL, labels.RESAMPLE,
    labels.FUNCTION, labels.MOVE, labels.CONCAT, labels.ADD, labels.GATE,
)  # fmt: skip

SCALE = (
    "Height and depth of a box: √ of rows and columns; thickness: √ of channels. /2: stride. Grey numbers: parameters."
)


def add_heading(image: Diagram, title: str, subtitle: str) -> None:
    """Above the image."""
    image.words.append(DiagramText(0, -32, title, "heading", "start"))
    image.words.append(DiagramText(0, -12, subtitle, "plain", "start"))
    image.width = max(image.width, text_width(title, *STYLES["heading"]), text_width(subtitle, *STYLES["plain"]))


def add_legend(image: Diagram) -> None:
    """Below the image, in lines as wide as it is."""
    image.width = max(image.width, text_width(SCALE, *STYLES["faint"]))
    x, y = 0.0, image.height + LINE + 6
    for what, text in _entries(image):
        width = KEY + text_width(text, *STYLES["plain"])
        if x and x + width > image.width:
            x, y = 0.0, y + LINE
        image.keys.append(Key(x, y, what))
        image.words.append(DiagramText(x + KEY, y + 4, text, "plain", "start"))
        x += width + SPACE
    image.words.append(DiagramText(0, y + LINE, SCALE, "faint", "start"))
    image.height = y + LINE + 4


def _entries(image: Diagram) -> Iterator[tuple[str, str]]:
    """What occurs in the image, and what it means."""
    units = [unit for box in image.boxes for unit in box.units]
    kinds = {unit.kind for unit in units}
    yield from ((kind, kind) for kind in KINDS if kind in kinds)
    names = [name for unit in units for text in (unit.before, unit.after) for name in text.split(", ") if name]
    for stripe in (labels.NORM, labels.ACTIVATION):
        found = dict.fromkeys(name for name in names if labels.stripes(name) == [stripe])
        if found:
            yield stripe, " or ".join(found)
    if any(frame.copies > 1 for frame in image.frames):
        yield PILED, "×n: n alike in a row"
